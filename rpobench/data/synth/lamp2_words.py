"""What tells a tag, where a synthetic film plays and who acts (LaMP-2), as patterns of `wording.spell`."""

from __future__ import annotations

# Every cue names two things out of the tag's own few, so that two films with the same tag often share a word.
CUES = {
    "sci-fi": "[a rogue|a stolen|an untested|a sentient] [android|warp drive|teleporter|clone lab][ built by "
    "robots| from a future century| full of robots]",
    "dystopia": "a [faceless|ruthless|smiling] [regime|ministry] that [rations water|bans memory|tracks everyone"
    "|rations sleep]",
    "comedy": "[cheerful|harmless|breezy] [pratfalls|mix-ups|banter][ and silly disguises| and silly songs|]",
    "dark comedy": "[deadpan|gleeful|morbid] jokes about [a funeral|a corpse|poisoned cake|a botched will]",
    "action": "[a breathless|a rooftop|an armoured] [chase|escape|raid][ with exploding trucks| and daring "
    "stunts| with daring jumps]",
    "violence": "[brutal|bloody|unflinching] [beatings|executions|knife fights][ shown up close| with broken bones|]",
    "psychology": "a [troubled|obsessive|fragile] mind [haunted by guilt|lost in delusions|torn by guilt|slowly "
    "losing memory]",
    "twist ending": "a [final|last-minute|shocking] reveal that [upends everything|unmasks the narrator|changes "
    "everything seen before]",
    "fantasy": "[a sleeping|an ancient|a jealous] [dragon|witch|spirit] guarding [an enchanted ring|a magic well"
    "|an enchanted forest]",
    "romance": "[a tender|a shy|a forbidden] [courtship|kiss|love affair] [by candlelight|told in letters|after "
    "years apart]",
    "classic": "[black-and-white|painted|grand] [studio sets|photography][ and a famous score| and stars of the "
    "golden age|]",
    "based on a book": "[chapters|dialogue|a narrator] taken from [a beloved|a bestselling|a prize-winning] novel",
    "thought-provoking": "[quiet|open|hard] questions about [free will|death|what makes a self|truth] that linger",
    "social commentary": "[sharp|angry|pointed] views on [class|poverty|inequality|housing] and [bosses"
    "|privilege|landlords]",
    "true story": "[archive footage of|a record of|interviews about] [real events|a real survivor|a documented rescue]",
}

LEADS = {
    "space": "[pilot|engineer|botanist|navigator|medic] {name} [wakes aboard|steers|repairs|abandons|guards] "
    "[a drifting station|an ore freighter|a lunar mine|a seed ship|an orbital hotel]",
    "city": "[courier|detective|hacker|janitor|singer] {name} [crosses|hides in|returns to|maps|betrays] "
    "[a flooded tower|the night market|a sealed district|the monorail|a neon arcade]",
    "war": "[sergeant|medic|cook|deserter|sniper] {name} [holds|blows up|reaches|defends|loses] "
    "[a border bridge|the supply convoy|a ruined chapel|the last trench|a mountain pass]",
    "village": "[baker|shepherd|postman|teacher|widow] {name} [inherits|restores|wagers|sells|hides] "
    "[the old mill|a prize pig|the orchard|a crooked inn|the bell tower]",
    "family": "[aunt|uncle|grandmother|stepfather|cousin] {name} [hosts|ruins|avoids|plans|interrupts] "
    "[the reunion dinner|a wedding|the summer house sale|a birthday|the anniversary]",
    "clinic": "[surgeon|night nurse|patient|therapist|intern] {name} [leaves|watches|enters|doubts|reopens] "
    "[the sleep ward|a locked archive|the trial group|a coma unit|the east wing]",
    "court": "[countess|stable boy|herald|chaplain|young heir] {name} [serves|deceives|courts|flees|challenges] "
    "[the mad queen|a rival duke|the regent|an exiled prince|the royal guard]",
    "sea": "[captain|stowaway|diver|lighthouse keeper|whaler] {name} [hunts|salvages|sights|boards|sinks] "
    "[a ghost trawler|the ice fleet|a sunken ferry|the pearl wreck|a mutinous brig]",
}

PLACES = {
    "space": "[near the moon of|above the colony of|on the route to|days away from] {town}",
    "city": "[in the smog of|under the streets of|on the edge of|high above] {town}",
    "war": "[on the road to|during the siege of|behind the lines at|after the fall of] {town}",
    "village": "[in sleepy|in the hills above|near rainy|at the fair of] {town}",
    "family": "[in suburban|at a lake near|back home in|in a cramped flat in] {town}",
    "clinic": "[at the hospital of|on an island off|in the woods near|in wintry] {town}",
    "court": "[at the palace of|in the gardens of|on the eve of war with|in snowbound] {town}",
    "sea": "[off the coast of|in the harbour of|far from|on the reefs near] {town}",
}

ENDINGS = (
    "[a|one] [stray dog|long silence|lost suitcase|broken radio|missing key|rainy weekend|red coat|debt|train "
    "ticket|storm] "
    "[nobody explains|that changes hands|everyone remembers|at the worst moment|in every scene|that comes back]"
)
