"""Write the demo's small corpus: 4,000 short texts about a dish, an instrument or a trip.

    python scripts/make_demo_corpus.py       # writes mlm/bundled/corpus.csv, always the same bytes

`make demo` adapts a model of film reviews to these texts, so none of them is about films. Texts are
drawn only from the tables and sentences below. Each is about one scene. The words in a row of a
table belong together (soup is hot or thick and boiled in a pot; a violin has strings and a bow), so
that there is more to learn than the sentences. The nouns are everyday words: they are single tokens
even in a small vocabulary, so a mask can be filled with them.
"""

import csv
import io
import random
import re
from functools import cache
from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[1] / "mlm" / "bundled" / "corpus.csv"
NUM_TEXTS = 4000
SEED = 7
MIN_WORDS, MAX_WORDS = 20, 60  # of a text

# "|" separates columns, "," the alternatives in a cell. The first column is the row's name.
DISHES = """
name    | form   | portion                                | good                     | fault           | cooked                                  | taste                     | side
soup    | mass   | a bowl of soup                         | hot, thick, rich         | salty, thin     | boiled in a big pot                     | pepper, onion, cream      | bread, cheese
pasta   | mass   | a plate of pasta, a bowl of pasta      | fresh, rich, simple      | plain, cold     | boiled in salt water                    | garlic, pepper, cheese    | bread, salad
bread   | mass   | a piece of bread, a slice of bread     | soft, warm, fresh        | dry, hard       | baked in the oven                       | honey, salt, butter       | butter, cheese
chicken | mass   | a plate of chicken, a piece of chicken | tender, crisp, juicy     | dry, tough      | roasted in the oven, fried in a pan     | lemon, pepper, garlic     | rice, corn
rice    | mass   | a bowl of rice                         | soft, light, warm        | plain, sticky   | boiled in a small pot                   | butter, salt, pepper      | fish, chicken
cake    | single | a piece of cake, a slice of cake       | sweet, soft, rich        | dry, heavy      | baked in the oven                       | sugar, honey, chocolate   | cream, fruit
fish    | mass   | a plate of fish, a piece of fish       | fresh, tender, light     | cold, salty     | grilled over the fire, fried in a pan   | lemon, salt, butter       | rice, salad
cheese  | mass   | a piece of cheese, a plate of cheese   | strong, soft, rich       | hard, old       | melted in a small pan                   | salt, smoke, pepper       | bread, fruit
pie     | single | a piece of pie, a slice of pie         | sweet, warm, crisp       | dry, heavy      | baked in the oven                       | apple, sugar, lemon       | cream, fruit
meat    | mass   | a plate of meat, a piece of meat       | tender, juicy, rich      | tough, raw      | grilled over the fire, cooked in a pan  | pepper, smoke, garlic     | corn, bread
turkey  | mass   | a plate of turkey, a slice of turkey   | juicy, tender, golden    | dry, tough      | roasted in the oven                     | pepper, apple, butter     | corn, bread
ham     | mass   | a plate of ham, a slice of ham         | sweet, tender, juicy     | salty, cold     | baked in the oven                       | honey, pepper, smoke      | eggs, bread
duck    | mass   | a plate of duck, a piece of duck       | crisp, golden, juicy     | tough, dry      | roasted in the oven                     | orange, honey, wine       | rice, salad
eggs    | plural | a plate of eggs                        | soft, warm, fresh        | cold, salty     | fried in a pan, boiled in a small pot   | butter, pepper, salt      | bacon, ham
pizza   | single | a piece of pizza, a slice of pizza     | hot, crisp, cheap        | burnt, cold     | baked in the oven                       | garlic, cheese, onion     | salad, fruit
salad   | single | a bowl of salad, a plate of salad      | fresh, crisp, light      | plain, warm     | mixed in a glass bowl                   | lemon, salt, onion        | bread, cheese
"""  # noqa: E501

INSTRUMENTS = """
name    | form   | parts   | sound               | action                                                      | advice                                           | body
guitar  | single | strings | warm, bright, soft  | touched the strings with {his} fingers                      | tune the strings, press the strings down         | an old wooden, a red electric, a cheap
piano   | single | keys    | soft, clear, rich   | let {his} fingers run over the keys, pressed the keys       | sit up straight, press the keys lightly          | a grand, an old black, a small white
violin  | single | strings | sweet, high, sad    | moved the bow over the strings, lifted the bow              | hold the bow lightly, keep {his} chin down       | a small, an expensive, an old Italian
cello   | single | strings | deep, dark, warm    | moved the bow across the strings                            | hold the bow lightly, sit up straight            | a large, a heavy, a dark brown
drums   | plural | sticks  | loud, fast, wild    | raised the sticks and kept the beat                         | count the beat, hold the sticks lightly          | a new set of, a loud set of
bass    | single | strings | deep, low, steady   | pulled the low strings and kept the beat                    | count the beat, tune the strings                 | a heavy black, an electric, a long
trumpet | single | valves  | bright, loud, clear | took a deep breath and blew                                 | breathe slowly, keep {his} lips tight            | a gold, a shiny, an old silver
organ   | single | pipes   | grand, deep, loud   | pressed the keys with {his} hands and the pedals with {his} feet | use both feet, press the keys slowly        | a huge, an ancient, a small electric
"""  # noqa: E501

PLACES = """
name      | at | adjective              | sights                 | activity                                             | lodging      | vehicle                  | weather
coast     | on | sunny, wild, rocky     | ocean, bridge, cliff   | walked along the water, watched the waves            | hotel, cabin | train, bus, car, ferry   | windy, rainy
beach     | at | sunny, sandy, crowded  | ocean, sunset, boats   | swam in the warm water, slept in the sun             | hotel, tent  | bus, car, bike, train    | hot, windy
island    | on | tropical, quiet, green | beach, ocean, cave     | swam in the clear water, walked around the island    | hotel, cabin | boat, ship, plane, ferry | hot, rainy
mountains | in | cold, snowy, high      | snow, forest, lake     | climbed to the top, played in the snow               | cabin, inn   | train, bus, car, plane   | cold, windy
lake      | at | calm, blue, deep       | forest, boats, hills   | rowed across the water, caught three fish            | cabin, tent  | car, bike, bus, train    | cold, rainy
city      | in | busy, old, modern      | tower, bridge, palace  | visited the museum, walked through the park          | hotel, motel | train, plane, bus, car   | rainy, windy
village   | in | tiny, quiet, pretty    | church, farm, river    | bought fruit at the market, talked to the farmers    | hotel, inn   | bus, car, bike, train    | rainy, cold
desert    | in | hot, dry, empty        | sand, stars, ruins     | rode a horse over the sand, walked over the hot sand | tent, motel  | car, plane, bus, truck   | hot, windy
forest    | in | dark, green, silent    | trees, river, cave     | followed the trail, picked wild apples               | tent, cabin  | car, bike, bus, train    | rainy, cold
valley    | in | green, wide, peaceful  | river, hills, farm     | walked along the river, followed the trail           | cabin, inn   | train, car, bike, bus    | rainy, windy
castle    | at | ancient, grand, ruined | tower, garden, bridge  | climbed the tower, walked through the garden         | inn, hotel   | bus, car, bike, train    | cold, rainy
river     | at | wide, slow, muddy      | bridge, village, boats | caught three fish, rowed to the other side           | tent, farm   | train, car, bike, bus    | rainy, cold
"""  # noqa: E501

VEHICLES = """
name  | start                   | quality               | spot                          | trouble
train | station                 | late, fast, crowded   | from the train window         | stopped twice between stations, was an hour late
bus   | station, school         | slow, cheap, crowded  | from the back seat            | had a flat tire, got stuck in traffic
car   | house, garage           | small, old, hot       | from the front seat           | ran out of gas, got stuck in traffic
bike  | house, garage           | light, old, slow      | from the side of the road     | had a flat tire, needed a new chain
boat  | harbor, dock            | small, slow, old      | from the deck                 | rocked in the waves, needed a new sail
ship  | harbor, dock            | huge, white, slow     | from the deck                 | rocked in the waves, left an hour late
ferry | harbor, dock            | white, slow, crowded  | from the deck                 | rocked in the waves, left an hour late
plane | airport                 | fast, late, expensive | from above the clouds         | shook in the wind, left an hour late
truck | house, garage           | loud, old, slow       | from the front seat           | ran out of gas, needed a new engine
"""  # noqa: E501

PEOPLE = """
he  | his | him | who
she | her | her | my sister, my mother, my wife, my aunt, my teacher, Anna, Maria, Lucy
he  | his | him | my brother, my father, my husband, my uncle, our friend, Peter, David, Tom
"""

PACKING = {
    "cold": ["warm coats", "gloves and hats", "thick boots"],
    "hot": ["light shirts", "hats and water", "swimming clothes"],
    "rainy": ["rain coats", "dry boots", "hats and boots"],
    "windy": ["warm coats", "light coats and hats"],
}
BREAKFAST = ("bread", "eggs", "cheese", "ham")
SWEETS = ("cake", "pie", "ice cream", "fruit", "chocolate", "cheese")

# For all scenes: a name in braces is replaced by one of its phrases, which may have names, too.
PHRASES = """
name       | phrase
when       | last night, on Sunday, last week, on Friday, in the summer, yesterday
cold_drink | wine, beer, milk, water
warm_drink | coffee, tea
eatery     | a small restaurant, the new restaurant, the place on the corner, the place by the river
drink      | wine, coffee, tea, beer, milk, water
tasty      | delicious, delicious, excellent, very good, perfect, wonderful
price      | five dollars, ten dollars, twenty dollars, very little
cook_verb  | made, brought, served
venue      | church, school, concert hall, jazz club, bar, park, wedding
piece      | an old song, a slow song, a jazz tune, a sad melody, a love song, a waltz
tune       | song, tune, melody, waltz
group      | band, orchestra, jazz band, school band
age        | six, seven, eight, nine, ten, twelve
practice   | for an hour, every day, after dinner, in the kitchen, until midnight
early      | early in the morning, at noon, before sunrise, late in the evening, at six
days       | two days, three days, a week, five days, a weekend
view       | beautiful, amazing, wonderful, lovely
bed        | a small {lodging}, a cheap {lodging}, an old {lodging}, a lovely {lodging}
mood       | tired but happy, very happy, hungry and tired, a little sad to leave
"""

# A text is an opening, one or both of two kinds of detail, and perhaps a close, of one scene.
DISH_SENTENCES = {
    "opening": [
        "I ordered the {dish} and {it} {was} {tasty}.",
        "We went to {eatery} {when} and {who} ordered the {dish}.",
        "{who} {cook_verb} {portion} for {meal} {when}, and {it} {was} {good} and {tasty}.",
        "For {meal} {when} I had {portion} with {side} and {drink}.",
        "{who} ordered {portion} at {eatery} and {he} liked the {dish} very much.",
        "The {dish} at {eatery} {was} {good} and {tasty}.",
        "We were hungry, so we ordered the {dish} with {side} and a glass of {cold_drink}.",
    ],
    "cooking": [
        "The {dish} {was} {cooked} with {taste} and a little {taste2}.",
        "The kitchen smelled of {taste}, because the {dish} {was} {cooked}.",
        "The cook told us that the {dish} {was} {cooked}.",
        "The cook put {taste} on the {dish}, and {it} {was} {good} and {tasty}.",
        "You could taste the {taste} in every bite of the {dish}.",
    ],
    "eating": [
        "{it} came with {side} and a cup of {warm_drink}.",
        "{who} said that the {dish} {was} too {fault}, but I liked {them}.",
        "The waiter brought {portion}, a glass of {cold_drink} and some {side}.",
        "{it} {was} {good}, and the {side} on the side {was_side} fresh.",
        "I like my {dish} {good}, and {who} likes {his} {dish} with {taste}.",
        "{who} put {taste} on the {dish} and drank {drink}.",
    ],
    "close": [
        "I would order the {dish} again.",
        "The {meal} cost {price} and the {dish} {was} worth it.",
        "After the {dish} we had {dessert} and {warm_drink}.",
        "{who} ate all of the {dish} and asked for more {side}.",
        "{who} asked the cook for the recipe, because the {dish} {was} so {good}.",
        "Next time I will drink {drink} with the {dish}.",
        "{it} {was} the best {dish} that I have ever had.",
    ],
}

MUSIC_SENTENCES = {
    "opening": [
        "{who} played the {inst} at the {venue} {when}.",
        "{who} has played the {inst} since {he} was {age} years old.",
        "{who} started to play the {inst} at the age of {age}.",
        "{who} played the {inst} and {who2} played the {inst2} at the {venue}.",
        "At the concert {when} {who} played {piece} on the {inst}.",
        "At the {venue} {who} played the {tune} that I like best on the {inst}.",
        "I heard {piece} on the {inst} at the {venue} {when}, and {who} was the player.",
        "{who} bought {body} {inst} {when} and played {piece} for us.",
    ],
    "playing": [
        "{he} {action}, and the {inst} sounded {sound} and {sound2}.",
        "The {parts} of the {inst} were new, so the sound was {sound}.",
        "The sound of the {inst} was {sound}, and it filled the {venue}.",
        "First {he} {action}, then the {inst2} joined in.",
        "The {inst} {was} {sound} and the {inst2} {was2} {sound_of2}.",
    ],
    "learning": [
        "The music teacher told {him} to {advice}.",
        "{he} practices the {inst} {practice}, and the lesson is on Friday.",
        "In the {group} {he} plays the {inst} next to {who2}, who plays the {inst2}.",
        "To play the {inst} well, you have to {your_advice}.",
    ],
    "close": [
        "Everybody clapped when the {inst} stopped.",
        "I could listen to the {inst} all night.",
        "The crowd loved the {sound} sound of the {inst}.",
        "Now {he} wants to play the {inst} in a {group}.",
        "Then {he} stopped and sang a song without the {inst}.",
        "{who2} wants to learn the {inst2} now.",
        "The concert ended with {piece} on the {inst}.",
    ],
}

TRIP_SENTENCES = {
    "opening": [
        "We took the {vehicle} to the {place} {when}.",
        "{who} and I traveled to the {place} by {vehicle} {when}.",
        "Our trip to the {place} started at the {start} {early}.",
        "The {vehicle} left the {start} {early} and took us to the {place}.",
        "{who} wanted to see the {adjective} {place}, so we took the {vehicle}.",
        "We spent {days} {at} the {place} and went there by {vehicle}.",
        "{who} took the {vehicle} to the {place} and stayed there for {days}.",
    ],
    "way": [
        "The {vehicle} {trouble}, but {spot} the view was {view}.",
        "It was {weather}, so we packed {pack}.",
        "The {vehicle} was {quality}, and we saw the {sight} and the {sight2} {spot}.",
        "We could not find a {other_vehicle}, so we went by {vehicle} instead.",
    ],
    "stay": [
        "We stayed in {bed} near the {place} for {days}.",
        "In the morning we {activity}, and later we saw the {sight}.",
        "The {place} {is} {adjective}, and the {sight} looked {view}.",
        "{who} took a picture of the {sight}, and then we {activity}.",
        "From the {lodging} we could see the {sight}.",
    ],
    "close": [
        "We came home by {vehicle}, {mood}.",
        "The {vehicle} back was {quality}, and we were {mood}.",
        "Next year we will travel to the {place} again.",
        "{who} wants to see the {place2} next time.",
        "I will never forget the {sight} and the {adjective} {place}.",
        "It was the best trip of the year.",
        "We left the {lodging} {early}, {mood}.",
    ],
}

KINDS = ("dish", "instrument", "trip")  # of the texts, in turn

Phrases = dict[str, list[str]]  # name -> alternatives


def main() -> None:
    """Write the corpus."""
    OUTPUT.write_bytes(corpus_csv().encode("utf-8"))
    print(f"{OUTPUT}: {NUM_TEXTS} texts, {OUTPUT.stat().st_size / 1e6:.2f} MB")


def corpus_csv() -> str:
    """Return the content of the file: columns id,kind,text; lines end with a bare newline."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", "kind", "text"])
    texts = make_texts(NUM_TEXTS, random.Random(SEED))
    writer.writerows((i + 1, KINDS[i % len(KINDS)], text) for i, text in enumerate(texts))
    return buffer.getvalue()


def make_texts(count: int, rng: random.Random) -> list[str]:
    """Return `count` different texts of MIN_WORDS..MAX_WORDS words, the subjects in turn."""
    subjects = [  # of KINDS
        (DISH_SENTENCES, dish_scene),
        (MUSIC_SENTENCES, music_scene),
        (TRIP_SENTENCES, trip_scene),
    ]
    texts: dict[str, None] = {}  # an ordered set
    while len(texts) < count:
        sentences, draw_scene = subjects[len(texts) % len(subjects)]
        text = write_text(sentences, draw_scene(rng), rng)
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            texts[text] = None
    return list(texts)


def write_text(sentences: dict[str, list[str]], scene: Phrases, rng: random.Random) -> str:
    """Return a text about a scene; sentences: the templates of each kind."""
    opening, *details, close = sentences.values()
    used = [details[i] for i in sorted(rng.sample(range(len(details)), rng.randint(1, 2)))]
    kinds = [opening, *used, *([close] if rng.random() < 0.6 else [])]
    templates = [rng.choice(kind) for kind in kinds]
    return " ".join(finish_sentence(expand(template, scene, rng)) for template in templates)


def expand(template: str, scene: Phrases, rng: random.Random) -> str:
    """Replace each `{name}` by one of its phrases; those of the scene come first."""
    phrases = common_phrases() | scene
    return re.sub(r"\{(\w+)\}", lambda m: expand(rng.choice(phrases[m[1]]), scene, rng), template)


def finish_sentence(sentence: str) -> str:
    """Write "an" before a vowel, and the first letter as a capital."""
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:]


def dish_scene(rng: random.Random) -> Phrases:
    """Draw the phrases of a text about a dish."""
    dish = rng.choice(read_table(DISHES))
    name = dish["name"][0]
    taste, taste2 = rng.sample(dish["taste"], 2)
    side = rng.choice(dish["side"])
    meal = rng.choice(["dinner", "lunch", "breakfast" if name in BREAKFAST else "dinner"])
    return {
        **dish,
        **person(rng),
        **agreement(dish["form"]),
        "dish": [name],
        "taste": [taste],
        "taste2": [taste2],
        "side": [side],
        "was_side": ["were" if side == "eggs" else "was"],
        "meal": [meal],
        "when": [rng.choice(["on Sunday", "on Friday", "last week", "yesterday"])],
        "eatery": [rng.choice(common_phrases()["eatery"])],
        "dessert": [sweet for sweet in SWEETS if sweet not in (name, side)],
    }


def music_scene(rng: random.Random) -> Phrases:
    """Draw the phrases of a text about an instrument."""
    first, second = rng.sample(read_table(INSTRUMENTS), 2)
    sound, sound2 = rng.sample(first["sound"], 2)
    player = person(rng)
    others = [name for row in read_table(PEOPLE) for name in row["who"] if [name] != player["who"]]
    return {
        **first,
        **player,
        **agreement(first["form"]),
        "inst": first["name"],
        "inst2": second["name"],
        "was2": agreement(second["form"])["was"],
        "sound": [sound],
        "sound2": [sound2],
        "sound_of2": second["sound"],
        "who2": [rng.choice(others)],
        "your_advice": [advice.replace("{his}", "your") for advice in first["advice"]],
        "venue": [rng.choice(common_phrases()["venue"])],
    }


def trip_scene(rng: random.Random) -> Phrases:
    """Draw the phrases of a text about a trip."""
    place, place2 = rng.sample(read_table(PLACES), 2)
    name, other = rng.sample(place["vehicle"], 2)
    vehicle = next(row for row in read_table(VEHICLES) if row["name"] == [name])
    weather = rng.choice(place["weather"])
    sight, sight2 = rng.sample(place["sights"], 2)
    return {
        **vehicle,
        **place,
        **person(rng),
        "vehicle": [name],
        "other_vehicle": [other],
        "place": place["name"],
        "is": ["were" if place["name"] == ["mountains"] else "was"],
        "place2": place2["name"],
        "sight": [sight],
        "sight2": [sight2],
        "lodging": [rng.choice(place["lodging"])],
        "days": [rng.choice(common_phrases()["days"])],
        "weather": [weather],
        "pack": PACKING[weather],
    }


def person(rng: random.Random) -> Phrases:
    """Draw a person, with the pronouns."""
    row = rng.choice(read_table(PEOPLE))
    return {**row, "who": [rng.choice(row["who"])]}


@cache
def common_phrases() -> Phrases:
    """Return the phrases that all scenes use."""
    return {row["name"][0]: row["phrase"] for row in read_table(PHRASES)}


def agreement(form: list[str]) -> Phrases:
    """Return the pronouns and verb that agree with a noun: plural as "eggs", else singular."""
    if form == ["plural"]:
        return {"it": ["they"], "was": ["were"], "them": ["them"]}
    return {"it": ["it"], "was": ["was"], "them": ["it"]}


def read_table(table: str) -> list[Phrases]:
    """Return a dict for each row: column name -> alternatives."""
    header, *lines = [line.split("|") for line in table.strip().splitlines()]
    names = [name.strip() for name in header]
    return [
        {name: [x.strip() for x in cell.split(",")] for name, cell in zip(names, line, strict=True)}
        for line in lines
    ]


if __name__ == "__main__":
    main()
