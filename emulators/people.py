"""The customers: who they are, and how differently the two systems know them."""

from dataclasses import asdict, dataclass

from emulators.clock import Rng

FIRST = (
    "Amelia", "Bruno", "Chloe", "Darius", "Elena", "Farid", "Greta", "Hugo", "Imani", "Jonas", "Keiko", "Liam", "Maya",
    "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Samir", "Tessa", "Ulrich", "Vera", "Wesley", "Ximena", "Yusuf",
    "Zoe",
)  # fmt: skip
LAST = (
    "Abbott", "Bauer", "Castillo", "Dvorak", "Eastman", "Ferrari", "Grant", "Hoffmann", "Ibarra", "Jansen", "Kowalski",
    "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quigley", "Ramirez", "Schneider", "Tanaka", "Underwood",
    "Vasquez", "Whitaker", "Xu", "Yamamoto", "Zimmermann",
)  # fmt: skip
FIRMS = (
    "Alder & Finch", "Blue Heron Catering", "Cobalt Dental", "Driftwood Surf School", "Evergreen Landscaping",
    "Foxglove Florist", "Granite Peak Gym", "Harborview Clinic", "Ironbark Furniture", "Juniper Books",
    "Kestrel Aviation", "Lighthouse Daycare", "Meridian Law Group", "Northwind Brewing",
)  # fmt: skip
EURO_FIRMS = ("Atelier Moreau", "Bauer Maschinenbau GmbH", "Ferrari Fotografia")
YEN_FIRMS = ("Nakamura Design", "Tanaka Robotics")
CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex", "pm_card_visa_debit")
FOREIGN_CARDS = {"EUR": "pm_card_de", "JPY": "pm_card_jp"}


@dataclass
class Person:
    """A customer. `stripe_*` is how Stripe knows them; the ids are those of the two systems."""

    name: str
    email: str
    stripe_name: str
    stripe_email: str
    currency: str = "USD"
    card: str = "pm_card_visa"
    by_check: bool = False  # pays outside of Stripe
    stripe_id: str = ""
    qbo_id: str = ""
    qbo_twin_id: str = ""  # the same customer, typed in a second time

    def row(self) -> dict[str, object]:
        return asdict(self)


def invent(rng: Rng) -> list[Person]:
    """About forty customers: persons and firms, some abroad, some who pay by check."""
    first, last = list(FIRST), list(LAST)
    rng.shuffle(first)
    rng.shuffle(last)
    people = [_person(rng, *names) for names in zip(first[:20], last[:20], strict=True)]
    people += [_firm(rng, name) for name in FIRMS]
    people += [_firm(rng, name, "EUR") for name in EURO_FIRMS]
    people += [_firm(rng, name, "JPY") for name in YEN_FIRMS]
    rng.shuffle(people)
    for person in [each for each in people if each.currency == "USD"][:4]:
        person.by_check = True
    return people


def _person(rng: Rng, first: str, last: str) -> Person:
    name, email = f"{first} {last}", f"{first}.{last}@example.com".lower()
    other_name = rng.pick((name, f"{first[0]}. {last}", f"{last}, {first}", name.upper()), (7, 1, 1, 1))
    other_email = rng.pick((email, f"{first[0]}{last}@example.net".lower()), (8, 1)) if other_name == name else email
    return Person(name, email, other_name, other_email, card=rng.pick(CARDS))


def _firm(rng: Rng, name: str, currency: str = "USD") -> Person:
    domain = "".join(letter for letter in name.lower() if letter.isalpha())
    email = f"accounts@{domain}.example"
    other_name = rng.pick((name, f"{name} LLC", name.replace("&", "and")), (7, 2, 1))
    card = FOREIGN_CARDS.get(currency) or rng.pick(CARDS)
    return Person(name, email, other_name, email, currency=currency, card=card)
