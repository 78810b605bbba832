"""What the synthetic reviews of LaMP-3 are about: kinds of goods, opinions on them, and patterns of reviews."""

from __future__ import annotations

# topic -> the question of weight its reviews raise, what the thing is called, the nouns of its making and of its use
GOODS = {
    "audio": ("price or quality", "headset|speaker", "jack|casing", "fit|headband"),
    "kitchen": ("quality or comfort", "blender|kettle", "motor|spout", "handle|lid"),
    "luggage": ("price or quality", "backpack|suitcase", "zipper|lining", "strap|grip"),
    "furniture": ("price or comfort", "desk chair|sofa bed", "frame|joint", "seat|backrest"),
    "shoes": ("quality or comfort", "pair of boots|pair of sandals", "sole|seam", "insole|heel"),
    "garden": ("price or comfort", "trimmer|lawn mower", "blade|engine", "trigger|pedal"),
    "toys": ("price or quality", "train set|toy robot", "gearbox|shell", "manual|remote"),
    "phones": ("quality or comfort", "phone|tablet", "screen|battery", "menu|keyboard"),
}

# (aspect, praised or blamed) -> patterns. Most readings of one side share a word, so that like reviews are found.
OPINIONS = {
    ("price", "+"): "[a real bargain|quite a bargain|a bargain in every shop|a bargain for what it does|great value]",
    ("price", "-"): "[badly overpriced|overpriced by half|plainly overpriced|overpriced even on sale|a rip-off]",
    ("quality", "+"): "[the {made} is sturdy|a sturdy {made}|sturdy {made} all round|a {made} sturdy as promised"
    "|flawless {made}]",
    ("quality", "-"): "[the {made} is flimsy|a flimsy {made}|flimsy {made} all round|a {made} flimsy as a toy"
    "|the {made} broke]",
    ("comfort", "+"): "[the {used} feels comfortable|a comfortable {used}|comfortable {used} from day one|the "
    "{used} is a joy]",
    ("comfort", "-"): "[the {used} feels awkward|an awkward {used}|awkward {used} from day one|the {used} is a pain]",
}

OPENER = (
    "[bought|ordered|got|picked up|tried] [this|the] {brand} {thing} [for my [brother|sister|father|mother|nephew|niece"
    "|neighbour|daughter|son|roommate|boss|friend]|as a gift|on a whim|last [January|February|March|April|May|June|July"
    "|August|October|November|December]|after reading reviews|to replace an old one|for a trip to {town}"
    "|for our place in {town}]"
)
LAYOUTS = (
    "{opener}. {first}, {but} {second}.",
    "{first}, {but} {second}. {opener}.",
    "{opener}: {first}, {but} {second}.",
    "{first}. {opener}. {but} {second}.",
    "{opener}. To sum up, {first}, {but} {second}.",
    "{opener}. {second}, {but} {first}.",
)
ITEM_LAYOUTS = (
    "{brand} {thing}: {first}, {but} {second}.",
    "{first}, {but} {second}. My {thing}.",
    "My {brand} {thing}: {second}, {but} {first}.",
)
