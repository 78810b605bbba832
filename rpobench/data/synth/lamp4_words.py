"""What the synthetic news is about: for each topic who acts, what can be done to what, and why."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from rpobench.data.synth.wording import split_bank


class Beat(NamedTuple):
    """One topic: kinds of actors, what can be done to what, the people concerned and the causes."""

    actors: tuple[str, ...]
    acts: tuple[tuple[str, str], ...]  # verb, thing
    people: tuple[str, ...]
    causes: tuple[str, ...]


def _acts(groups: str) -> tuple[tuple[str, str], ...]:
    """Pair every verb of a group with every thing of the same group; `verb verb: thing, thing; verb ...`."""
    acts: list[tuple[str, str]] = []
    for group in groups.split(";"):
        verbs, things = group.split(":")
        acts += product(verbs.split(), split_bank(things))
    return tuple(acts)


def _beat(actors: str, acts: str, people: str, causes: str) -> Beat:
    return Beat(split_bank(actors), _acts(acts), split_bank(people), split_bank(causes))


BEATS = {
    "business": _beat(
        "retailer, bank, carmaker, software firm, phone maker, insurer",
        "cut add: jobs, desks, posts; sell close lease: shops, offices, warehouses, branches; launch "
        "rename: brands, apps, products",
        "workers, suppliers, shareholders, managers, tenants",
        "weak sales, record profits, rising rents, a failed merger, a pay dispute, new tariffs",
    ),
    "health": _beat(
        "hospital group, clinic chain, drug maker, health fund, nursing trust",
        "open close inspect: clinics, wards, pharmacies, care homes; test recall order: vaccines, "
        "scanners, pills; hire train: nurses, surgeons, midwives",
        "patients, nurses, doctors, carers, pensioners",
        "long waiting lists, a flu wave, patient complaints, a nursing shortage, a damning audit, new funding",
    ),
    "transport": _beat(
        "rail operator, bus company, airline, ferry line, tram network",
        "scrap extend suspend: routes, flights, night buses; repair repaint close: stations, bridges, "
        "platforms; order electrify replace: trains, trams, ferries",
        "commuters, drivers, travellers, cyclists, passengers",
        "repeated breakdowns, icy tracks, a driver shortage, soaring fuel prices, a safety warning, growing demand",
    ),
    "sports": _beat(
        "football club, rowing club, hockey team, league board, stadium owner",
        "sign drop loan bench: players, goalkeepers, rookies, defenders; ban suspend honour: referees, "
        "coaches, sprinters; move cancel: matches, races, fixtures",
        "fans, members, season ticket holders, sponsors, juniors",
        "a poor season, a cup win, a doping case, early injuries, a stormy meeting, an angry protest",
    ),
    "politics": _beat(
        "city council, ministry, opposition party, county board, election office",
        "approve reject delay: permits, subsidies, contracts, budgets; publish review archive: bills, "
        "petitions, audits; tax license: taxis, casinos, kiosks",
        "voters, residents, taxpayers, clerks, landlords",
        "a close vote, months of debate, a leaked memo, a court ruling, coalition talks, a budget gap",
    ),
    "science": _beat(
        "space agency, research institute, university lab, polar station, observatory",
        "launch retire track: satellites, probes, balloons; map study scan: glaciers, comets, reefs, "
        "craters; rebuild upgrade: telescopes, labs, antennas",
        "researchers, students, engineers, volunteers, astronomers",
        "a surprise finding, a lost signal, years of tests, a solar storm, a generous donation, strange readings",
    ),
    "education": _beat(
        "school board, college, university, teachers union, reading charity",
        "hire promote retrain: teachers, tutors, coaches; renovate equip rename: schools, classrooms, "
        "libraries, labs; cancel add: courses, exams, lectures",
        "pupils, parents, students, families, graduates",
        "poor exam results, falling enrolment, a parent petition, leaking roofs, a strike threat, a rich bequest",
    ),
    "housing": _beat(
        "developer, housing trust, landlord, building society, architecture firm",
        "build demolish insulate: homes, towers, cottages, blocks; rent auction renovate: flats, "
        "garages, lofts, courtyards; freeze raise: rents, fees, deposits",
        "tenants, families, neighbours, buyers, squatters",
        "a housing shortage, flood damage, a zoning change, mould reports, rising mortgage rates, a long lawsuit",
    ),
    "nature": _beat(
        "forest service, park authority, river trust, wildlife charity, farming union",
        "plant clear protect: trees, hedges, meadows, orchards; release count tag: otters, beavers, "
        "wolves, storks; restore drain fence: ponds, dunes, marshes",
        "farmers, hikers, anglers, villagers, rangers",
        "a dry summer, heavy storms, an oil spill, a wildfire, illegal logging, a bird census",
    ),
    "food": _beat(
        "bakery chain, dairy, brewery, supermarket, restaurant group",
        "recall relaunch relabel: pizzas, cheeses, snacks, soups; import brew bottle: beers, ciders, "
        "juices, teas; donate freeze: loaves, cakes, meals",
        "diners, shoppers, cooks, growers, waiters",
        "a hygiene scare, a poor harvest, customer complaints, a price war, a recipe mistake, a vegan trend",
    ),
    "crime": _beat(
        "police force, customs office, tax agency, coast guard, prosecution service",
        "seize search return: vans, yachts, paintings, watches; charge free question: smugglers, "
        "hackers, suspects, forgers; install remove: cameras, alarms, barriers",
        "witnesses, victims, officers, collectors, detectives",
        "an anonymous tip, a night raid, a bank fraud, a museum theft, a street chase, a long inquiry",
    ),
    "culture": _beat(
        "museum, theatre, film studio, opera house, record label",
        "stage cancel film: plays, concerts, operas, premieres; restore lend exhibit: sculptures, "
        "murals, portraits, costumes; fund judge: festivals, novels, poems",
        "visitors, actors, musicians, artists, ushers",
        "poor ticket sales, a rave review, a water leak, a casting row, a festival prize, a private gift",
    ),
}

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# The reporting frames hold every fact a headline may use, and none of the words a headline writer adds.
LEADS = (
    "[In a [short|brief|rare|joint] statement,|] the {kind} {actor} [said|announced|confirmed|told "
    "reporters|revealed]"
    " on {day} [that|] it [will|is going to] {verb} {thing} in {place}",
    "on {day}, the {kind} {actor} [agreed|decided|promised|chose] to {verb} {thing} in {place}",
    "[a decision|a surprise decision|a proposal] by {actor}, [the|a local|a national|a regional] {kind}, "
    "to {verb} {thing}"
    " in {place} was [announced|made public|presented] on {day}",
    "the {kind} {actor} [will|is going to] {verb} {thing} in {place}, [a spokesman|a spokeswoman|the "
    "chairwoman|an insider|"
    "a letter to staff|a press release] [said|revealed|confirmed] on {day}",
    "{place} [learned|heard|was told] on {day} that {actor}, [the|its oldest|its largest|a well known] "
    "{kind}, [will|is going to]"
    " {verb} {thing}",
)
# What a profile item keeps of the article.
BRIEFS = (
    "{actor} [will|is going to] {verb} {thing} in {place} on {day}",
    "on {day} {actor} [will|is going to] {verb} {thing} in {place}",
    "in {place}, {actor} [will|is going to] {verb} {thing} on {day}",
)
FACTS = (
    "[the price is|the bill comes to|it costs|the budget is|the sum involved is] {cost}",
    "[about|roughly|some|nearly|] {people} [will feel the change|are concerned|are involved|are waiting for details]",
    "[it follows|the step follows|the reason given is|behind it is|the background is] {cause}",
)
FACT_FRAMES = ("{}, {} and {}.", "{}; {}, and {}.", "{}, while {}; {}.")
