"""What the synthetic mail is about: for each kind of work its papers, what is asked of them, and why."""

from __future__ import annotations

from typing import NamedTuple

from rpobench.data.synth.wording import split_bank


class Work(NamedTuple):
    """One kind of work: the papers that circulate, the verbs asked of the reader, the occasions ahead."""

    papers: tuple[str, ...]
    verbs: tuple[str, ...]
    occasions: tuple[str, ...]


def _work(papers: str, verbs: str, occasions: str) -> Work:
    return Work(*map(split_bank, (papers, verbs, occasions)))


WORKS = {
    "finance": _work(
        "budget draft, expense report, cost forecast, invoice batch, cash plan, audit summary, payment list",
        "review, approve, correct, reconcile, sign",
        "board meeting, quarter close, bank visit, tax filing",
    ),
    "hiring": _work(
        "candidate shortlist, job posting, interview schedule, salary offer, reference letter, hiring plan",
        "approve, edit, confirm, publish, check",
        "panel interview, career fair, team lunch, headcount freeze",
    ),
    "legal": _work(
        "vendor contract, privacy notice, license agreement, partner terms, settlement offer, patent claim",
        "sign, redline, approve, check, return",
        "court date, client call, renewal window, closing dinner",
    ),
    "sales": _work(
        "price quote, customer pitch, account plan, discount request, demo script, renewal letter",
        "send, update, approve, shorten, check",
        "trade show, customer visit, pipeline review, pitch day",
    ),
    "engineering": _work(
        "release note, test report, design proposal, migration plan, bug list, interface draft",
        "review, complete, approve, check, update",
        "code freeze, launch window, sprint demo, load test",
    ),
    "marketing": _work(
        "campaign brief, press release, banner artwork, newsletter copy, survey summary, brand guide",
        "proofread, approve, share, trim, translate",
        "product launch, radio spot, photo shoot, holiday season",
    ),
    "travel": _work(
        "flight booking, hotel list, visa form, train ticket, trip agenda, mileage claim",
        "confirm, complete, print, change, check",
        "site visit, spring conference, partner summit, embassy appointment",
    ),
    "facilities": _work(
        "floor plan, furniture order, parking list, lease extension, cleaning contract, badge request",
        "approve, sign, check, return, update",
        "office move, fire drill, landlord visit, open day",
    ),
    "training": _work(
        "course outline, slide deck, quiz sheet, attendance sheet, mentor list, feedback form",
        "complete, review, print, share, update",
        "first session, certification exam, summer academy, induction week",
    ),
    "support": _work(
        "ticket backlog, outage report, reply template, escalation list, call roster, refund request",
        "check, update, confirm, share, approve",
        "shift change, customer call, service review, maintenance night",
    ),
    "research": _work(
        "survey draft, grant proposal, data request, lab protocol, consent form, literature table",
        "submit, check, revise, annotate, approve",
        "ethics hearing, funder visit, poster session, steering meeting",
    ),
    "events": _work(
        "guest list, catering order, speaker profile, seating chart, stage plan, invitation text",
        "finalize, send, confirm, update, proofread",
        "charity gala, annual dinner, opening night, sound check",
    ),
}

DEADLINES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "tonight", "noon", "tomorrow")

# The mail names everything a subject may use, and none of the words a subject writer adds.
GREETINGS = (
    "[Hi|Hello|Dear|Good morning|Good afternoon] {reader}, [I hope you are well.|hope the week is going fine.|]",
    "{reader}, [a quick note|one more thing|a short question] from [the office|our side|the team].",
    "[Hi|Hello] {reader}, [as discussed|as agreed|as you know], [work on|the work on] {project} [goes on|is on track].",
)
STATES = (
    "the {paper} for {project} is [ready|in the shared folder|attached|finally here|on your desk]",
    "[{sender} finished|{sender} sent over|we now have|I have put together|{sender} reworked] the "
    "{paper} for {project}",
    "you will find the {paper} for {project} [below|attached|in the archive|in the shared drive]",
)
REQUESTS = (
    "[could you|would you|can you|I would like you to|may I ask you to] {verb} it before {deadline}",
    "before {deadline}, [could you|would you|can you] {verb} it",
    "somebody has to {verb} it before {deadline}, [and it should be you|and you know it best|ideally you]",
)
REASONS = (
    "[it has to be done|we depend on it|everybody wants it settled|the others need it] [for|in time for] "
    "the {occasion}",
    "the {occasion} [is close|cannot wait|is around the corner|comes next]",
)
# What a profile item keeps of the mail.
BRIEFS = (
    "[the|our] {paper} for {project} is [ready|attached|here], [do|can you|could you] {verb} it before {deadline}",
    "before {deadline}, [can you|could you|would you] {verb} the {paper} for {project}",
    "{project} [news|update]: [somebody has to|we have to|you have to] {verb} the {paper} before {deadline}",
)
CLOSINGS = ("[Best|Regards|Cheers|Many thanks], {sender}",)
