"""What the synthetic papers of LaMP-1 are about: fields, lines of work, and patterns of titles and abstracts."""

from __future__ import annotations

# field -> its tasks and its objects
FIELDS = {
    "retrieval": (
        "query rewriting|passage ranking|index pruning|click modeling",
        "web archives|legal cases|product catalogs|patent files",
    ),
    "robotics": (
        "grasp planning|path following|legged walking|docking",
        "warehouse arms|drones|underwater gliders|delivery carts",
    ),
    "networks": (
        "traffic routing|congestion control|link scheduling|load balancing",
        "data centers|mesh radios|satellite links|optical rings",
    ),
    "vision": (
        "object tracking|depth estimation|scene labeling|image repair",
        "street cameras|cell slides|aerial photos|thermal video",
    ),
    "biology": (
        "gene calling|protein folding|cell counting|drug screening",
        "yeast strains|tumor samples|plant roots|gut bacteria",
    ),
    "speech": (
        "speaker matching|accent mapping|word spotting|noise removal",
        "phone calls|radio shows|meeting rooms|hearing aids",
    ),
    "databases": (
        "join ordering|schema matching|log recovery|query caching",
        "sensor tables|bank ledgers|graph stores|time series",
    ),
    "security": (
        "intrusion detection|malware sorting|key exchange|spam filtering",
        "smart locks|mail servers|payment apps|power grids",
    ),
}

# trait -> line -> the words it is known by
LINES = {
    "theory": {
        "probability": ("Bayesian", "posterior", "sampling", "variational"),
        "games": ("auction", "equilibrium", "incentive", "bidding"),
        "evolution": ("genetic", "mutation", "crossover", "swarm"),
        "logic": ("theorem", "symbolic", "axiom", "proof"),
        "geometry": ("manifold", "curvature", "spectral", "tensor"),
    },
    "concern": {
        "privacy": ("anonymous", "encrypted", "private", "secret"),
        "cost": ("cheap", "sparse", "compressed", "frugal"),
        "trust": ("explainable", "transparent", "auditable", "interpretable"),
        "scarcity": ("unlabeled", "transfer", "pretrained", "zero-shot"),
        "speed": ("streaming", "parallel", "cached", "real-time"),
    },
}

# How a title names two words of its line; {w} and {v} are the words.
LINE_TITLES = (
    "{w} [and|with] {v} [methods|models] for {job} [in|on] {matter}",
    "{w} {job} for {matter}: {a_v} [approach|view|method]",
    "[toward|on] {w} {job} [in|of] {matter} with {v} [tools|search]",
    "{job} [in|over] {matter} [by|through] {w}, {v} [means|steps]",
    "{name}: {w} and {v} {job} for {matter}",
    "{a_w} and {v} [account|study] of {job} in {matter}",
)
PLAIN_TITLES = (
    "[new results on|another look at|a survey of|notes on|open problems in|a benchmark for|progress in] {job} "
    "[for|in|over] {matter}",
    "{name}[, a system| at work|: a case]: {job} [for|in|over] {matter}",
    "[faster|better|stable|large-scale|practical|adaptive|robust] {job} [for|in|over] {matter} [with|using] {name}",
    "{name}: [improving|rethinking|measuring|testing|comparing|revisiting] {job} [for|in|over] {matter}",
    "{job} [for|in|over] {matter}: [lessons|evidence|experience|insights|surprises] from {place}",
)
ABSTRACTS = (
    "we [study|revisit|test|improve] {job} with {w} ideas[ and report gains on {matter}|; {matter} serve as our "
    "test bed|]",
    "for {matter}, {a_w} scheme [helps|guides|speeds up] {job}[ in practice| on three data sets|]",
)
