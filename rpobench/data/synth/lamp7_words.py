"""What the synthetic tweets are about: for each topic what was done, how it was, and what the reader should do."""

from __future__ import annotations

from typing import NamedTuple

from rpobench.data.synth.wording import split_bank


class Talk(NamedTuple):
    """One topic: what was done to it, the things, where they were met, how they were, and the advice."""

    deeds: tuple[str, ...]
    things: tuple[str, ...]
    spots: tuple[str, ...]
    verdicts: tuple[str, ...]
    advice: tuple[str, ...]


def _talk(deeds: str, things: str, spots: str, verdicts: str, advice: str) -> Talk:
    banks = (deeds, things, spots, verdicts, advice)
    return Talk(*map(split_bank, banks))


TALKS = {
    "food": _talk(
        "tried, ordered, finished, tasted",
        "lentil soup, lemon tart, fish taco, green curry, garlic bread, plum cake, noodle bowl, bean stew",
        "at {org}, from {org}, in {place}",
        "salty, creamy, crunchy, spicy, bland, sticky, greasy, fresh",
        "try it, order it, skip it, share one",
    ),
    "football": _talk(
        "watched, rewatched, caught, followed",
        "derby, penalty shootout, cup final, youth match, transfer show, away game, charity match, late replay",
        "in {place}, against {place}, from {place}",
        "tense, boring, loud, chaotic, one sided, brutal, muddy, thrilling",
        "watch it, get tickets, join the stands, follow the team",
    ),
    "commute": _talk(
        "took, survived, endured, rode",
        "night bus, early train, harbour ferry, express tram, airport shuttle, crowded metro, cargo "
        "bike, hill funicular",
        "to {place}, from {place}, near {place}",
        "slow, packed, smelly, late, quiet, bumpy, cold, pricey",
        "avoid it, take it, walk instead, complain",
    ),
    "weather": _talk(
        "got through, walked through, photographed, enjoyed",
        "hail storm, morning fog, spring drizzle, first snow, heat wave, sea breeze, thunder shower, double rainbow",
        "in {place}, over {place}, outside {place}",
        "wild, gloomy, icy, gentle, windy, dazzling, damp, scary",
        "stay inside, bring a coat, see it, close the windows",
    ),
    "office": _talk(
        "left, joined, attended, escaped",
        "budget meeting, team workshop, sales call, fire drill, farewell party, planning session, "
        "software demo, staff quiz",
        "at {org}, with {given}, in {place}",
        "long, awkward, pointless, cheerful, tiring, noisy, useful, confusing",
        "decline it, ask for slides, join us, bring coffee",
    ),
    "music": _talk(
        "heard, replayed, streamed, discovered",
        "piano album, street choir, jazz single, drum solo, folk ballad, guitar cover, live set, techno remix",
        "by {given}, in {place}, from {org}",
        "catchy, dreamy, sad, loud, soothing, weird, groovy, flat",
        "hear it, buy it, turn it up, learn the chorus",
    ),
    "pets": _talk(
        "met, walked, fed, rescued",
        "rescue puppy, fat tabby, old parrot, shy hamster, baby goat, lost beagle, garden hedgehog, blind pony",
        "in {place}, with {given}, near {place}",
        "fluffy, clumsy, sleepy, greedy, brave, grumpy, playful, tiny",
        "adopt one, meet it, bring treats, send photos",
    ),
    "games": _talk(
        "played, finished, restarted, unlocked",
        "space shooter, farm sim, puzzle pack, dungeon level, racing demo, card game, pirate quest, chess app",
        "by {org}, with {given}, from {org}",
        "addictive, buggy, hard, pretty, short, relaxing, unfair, clever",
        "play it, download it, join my team, wait for a patch",
    ),
    "school": _talk(
        "finished, started, submitted, failed",
        "chemistry exam, history essay, group project, maths quiz, lab report, spelling test, art "
        "portfolio, book review",
        "for {surname}, with {given}, at {org}",
        "tricky, easy, stressful, messy, rushed, dull, unfair, fun",
        "start early, check the notes, ask for help, study with me",
    ),
    "fitness": _talk(
        "did, completed, repeated, skipped",
        "trail run, spin class, yoga session, rowing drill, climbing course, boxing round, swim relay, leg workout",
        "at {org}, in {place}, with {given}",
        "sweaty, brutal, calm, painful, uplifting, steep, quick, rewarding",
        "join me, stretch first, try it, bring water",
    ),
    "shopping": _talk(
        "bought, returned, unboxed, found",
        "rain jacket, coffee grinder, desk lamp, leather boots, travel mug, wool scarf, folding bike, phone case",
        "from {org}, at {org}, in {place}",
        "cheap, sturdy, ugly, comfy, flimsy, stylish, heavy, shiny",
        "get one, compare prices, use my code, check the sale",
    ),
    "tv": _talk(
        "binged, watched, paused, restarted",
        "baking show, spy series, nature film, crime drama, quiz night, dragon saga, prison documentary, dating show",
        "by {org}, with {given}, about {place}",
        "gripping, silly, dark, predictable, cosy, moving, slow, brilliant",
        "stream it, skip the intro, watch it, avoid spoilers",
    ),
}

WHENS = ("tomorrow", "right now", "tonight", "this weekend", "today", "later", "next week")

# How the three writing styles spell what the plain tweet spells out.
SPELLINGS = {
    "full": {"you should": "you should"},
    "short": {
        "you should": "u should",
        "tomorrow": "tmrw",
        "right now": "rn",
        "tonight": "2nite",
        "this weekend": "this wknd",
        "today": "2day",
        "later": "l8r",
        "next week": "nxt wk",
    },
    "loose": {
        "you should": "ya gotta",
        "tomorrow": "tomoz",
        "right now": "right away",
        "tonight": "this eve",
        "this weekend": "come saturday",
        "today": "before dark",
        "later": "in a bit",
        "next week": "come monday",
    },
}

# The plain tweet says everything its author may say, and none of the words that are her habits.
EVENTS = (
    "[Today|Yesterday|This morning|Last night|An hour ago|This afternoon] I {deed} the {thing} {spot}",
    "I [just|finally|also|already] {deed} the {thing} {spot} [today|yesterday|this morning|this afternoon|]",
    "[After work|After lunch|Before breakfast|On a whim|Out of boredom] I {deed} the {thing} {spot}",
    "[My sister|My neighbour|My boss|A friend|My cousin] and I {deed} the {thing} {spot}",
)
VERDICTS = (
    "[and|and I think|and in my opinion|and I found] it was very {verdict}",
    "[, which was|and it turned out] very {verdict}",
    "[and|,] it [felt|seemed|proved] very {verdict}",
)
ADVICE = (
    "[I think|I would say|In my view|] you should {advice} {when}",
    "[Perhaps|Maybe|Surely|] you should {advice} {when}",
)
