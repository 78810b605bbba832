"""What the synthetic papers are about: for each field its problems, approaches, domains and data."""

from __future__ import annotations

from typing import NamedTuple

from rpobench.data.synth.wording import split_bank


class Field(NamedTuple):
    """One research field: problem heads, their modifiers, approaches, domains and kinds of data."""

    problems: tuple[str, ...]
    modifiers: tuple[str, ...]
    approaches: tuple[str, ...]
    domains: tuple[str, ...]
    data: tuple[str, ...]


def _field(problems: str, modifiers: str, approaches: str, domains: str, data: str) -> Field:
    banks = (problems, modifiers, approaches, domains, data)
    return Field(*map(split_bank, banks))


FIELDS = {
    "vision": _field(
        "object detection, image segmentation, pose estimation, depth prediction, scene recognition",
        "low light, aerial, few shot, real time, occluded, underwater",
        "patch encoder, pixel decoder, contour matcher, texture filter, keypoint tracker",
        "street scenes, factory floors, satellite photos, dental scans, crowded shops",
        "image sets, camera feeds, photo archives, video clips",
    ),
    "language": _field(
        "question answering, text summarization, parsing, entity linking, translation",
        "multilingual, long document, conversational, noisy, zero shot, legal",
        "sentence encoder, span tagger, phrase lattice, token aligner, prompt tuner",
        "court records, chat logs, news wires, old letters, product manuals",
        "corpora, treebanks, test suites, transcripts",
    ),
    "speech": _field(
        "speech recognition, speaker diarization, keyword spotting, voice conversion, accent detection",
        "far field, whispered, streaming, childhood, overlapping, low bitrate",
        "spectral encoder, phoneme tracker, waveform decoder, pitch contour, beam former",
        "call centres, noisy cars, lecture halls, radio archives, hearing aids",
        "recordings, voice corpora, dialects, microphones",
    ),
    "databases": _field(
        "query optimization, index selection, entity resolution, data cleaning, join ordering",
        "distributed, streaming, approximate, temporal, in memory, encrypted",
        "cost estimator, bloom cascade, hash partition, sketch index, lineage graph",
        "retail warehouses, sensor logs, bank ledgers, public registers, cloud stores",
        "workloads, schemas, query logs, tables",
    ),
    "robotics": _field(
        "motion planning, grasping, localization, path following, swarm control",
        "legged, aerial, collision free, soft, outdoor, two handed",
        "force controller, lattice planner, tactile prior, particle smoother, gait oscillator",
        "orchards, warehouses, operating rooms, rubble fields, greenhouses",
        "robots, simulators, terrains, obstacle courses",
    ),
    "security": _field(
        "intrusion detection, malware analysis, spam filtering, access control, fraud detection",
        "encrypted, insider, cross platform, early, automated, decentralized",
        "packet classifier, call graph, honeypot mesh, taint tracker, signature tree",
        "smart homes, power grids, mobile apps, payment systems, campus networks",
        "traffic traces, malware families, attack logs, devices",
    ),
    "health": _field(
        "risk prediction, dose planning, tumour grading, sleep staging, triage",
        "early, paediatric, personalized, remote, longitudinal, emergency",
        "survival forest, signal mixer, cohort matcher, lesion atlas, rule miner",
        "rural clinics, intensive care, dialysis units, maternity wards, home monitoring",
        "hospitals, cohorts, patient registers, trials",
    ),
    "climate": _field(
        "rainfall forecasting, flood mapping, crop modelling, drought monitoring, emission tracking",
        "short term, regional, seasonal, high resolution, coastal, urban",
        "ensemble mixer, terrain graph, wavelet filter, moisture index, ocean emulator",
        "river deltas, alpine valleys, dry savannas, island states, megacities",
        "weather stations, satellite years, climate models, river basins",
    ),
    "economics": _field(
        "demand forecasting, price discovery, credit scoring, auction design, wage estimation",
        "dynamic, regional, online, informal, cross border, household",
        "panel estimator, bidding game, latent factor, matching market, regime switch",
        "housing markets, food exports, gig platforms, village banks, energy trading",
        "household surveys, countries, order books, tax records",
    ),
    "learning": _field(
        "knowledge tracing, essay grading, course recommendation, plagiarism detection, dropout prediction",
        "adaptive, collaborative, open ended, bilingual, peer based, anonymous",
        "skill graph, mastery network, hint generator, rubric encoder, attention clock",
        "evening schools, coding camps, language apps, medical training, primary schools",
        "classrooms, student cohorts, course logs, exams",
    ),
    "networks": _field(
        "link prediction, routing, community detection, rumour tracking, load balancing",
        "dynamic, multilayer, wireless, sparse, energy aware, hyperbolic",
        "random walk, edge sampler, gossip protocol, motif counter, spectral cut",
        "citation graphs, bus systems, sensor fields, online forums, supply chains",
        "graphs, topologies, network snapshots, traffic matrices",
    ),
    "music": _field(
        "chord recognition, playlist generation, beat tracking, score following, source separation",
        "live, polyphonic, symbolic, folk, interactive, cross cultural",
        "harmony parser, rhythm lattice, timbre encoder, melody tree, onset filter",
        "jazz clubs, choir rehearsals, radio shows, film scores, piano lessons",
        "songs, albums, orchestras, concert recordings",
    ),
}

MEASURES = ("accuracy", "recall", "precision", "coverage", "stability", "throughput", "agreement")
PARTS = (
    "two stages",
    "shared weights",
    "a fixed memory",
    "weak labels",
    "soft constraints",
    "a single pass",
    "late fusion",
)

# Abstracts name everything a title may use, and none of the words a title writer adds.
OPENINGS = (
    "{problem} [remains|is still] [hard|costly|unreliable|an open problem|poorly understood] in {domain}",
    "[in|across] {domain}, {problem} [often|still|regularly|sometimes] [fails|breaks down|needs expert "
    "help|takes too long]",
    "[many|most|current|recent] systems [struggle|fail|do badly] at {problem} in {domain}",
    "we [address|consider|tackle|examine] {problem} in {domain}[, where labels are rare|, where errors are costly|]",
)
PROPOSALS = (
    "[here we|we] [present|introduce|describe|propose] {method}, {a_approach} [built on|using|that relies on] {part}",
    "{method}, [our|the proposed] {approach} [with|built on|using] {part}, [closes this gap|changes that|helps here]",
    "[this paper|this work|the present work] [presents|introduces|describes] {method}, {a_approach} with {part}",
)
RESULTS = (
    "on {data} [it improves|it raises|we improve] {measure} by {gain} percent",
    "[tests|experiments|trials] on {data} [show|report|give] {gain} percent [higher|better|more] {measure}",
    "it [gains|adds|reaches] {gain} percent [higher|better|more] {measure} on {data}",
)
# What a profile item keeps of the abstract.
BRIEFS = (
    "[we|here we] [present|introduce|describe] {method}, {a_approach} for {problem} in {domain}",
    "{method}, {a_approach}, [addresses|handles|improves] {problem} in {domain}",
    "for {problem} in {domain} we [present|introduce|describe] {method}, {a_approach}",
)
