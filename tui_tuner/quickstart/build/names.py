"""The words of the closed world: first names, surnames and teams, all invented combinations.

Every entry becomes one token. Entries must be single capitalised words, unique across all three lists, and must not
be words of the sentences in `skills`: a name must never be mistaken for anything else.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: tuple[str, ...] = _words(
    """
    Ada Alma Anton Arlo Astrid Basil Bella Boris Bruno Carla Cato Celia Clara Cosmo Dara Dario
    Delia Dora Edda Edgar Elsa Emil Enzo Esme Fabio Felix Fiona Flora Freya Gwen Hanna Hugo
    Ida Igor Ines Iris Ivo Jonas Juno Kai Karim Lara Leo Lidia Lotte Luca Magda Marek
    Mila Mona Nadia Nico Nora Olga Oscar Otto Petra Quinn Rosa Rufus Selma Stella Tamar Viktor
    """
)

SURNAMES: tuple[str, ...] = _words(
    """
    Abbott Archer Ashby Barlow Baxter Becker Bellamy Bishop Blake Brandt Brook Calder Carver Chandler Clarke Conway
    Cooper Corbin Crane Dalton Darrow Dawson Doyle Draper Dunbar Eaton Ellery Everly Falkner Farrow Fenwick Fletcher
    Foster Frost Gable Garner Gibson Glover Granger Grove Hadley Halden Harper Hayward Holt Hooper Ingram Irving
    Jarvis Jessop Kendall Keller Kirby Lambert Langley Larkin Lennox Lowell Mallory Marlow Mercer Milburn Monroe Nash
    Newton Norwood Oakley Osborn Palmer Parrish Penrose Porter Quincy Radley Ramsey Rhodes Ridley Rowan Sawyer Sefton
    Shelby Sinclair Sutton Tanner Thorne Turner Upton Vance Vaughn Walden Warner Weaver Webster Whitby Winslow Yates
    """
)

TEAMS: tuple[str, ...] = _words(
    """
    Badgers Bears Comets Cranes Eagles Falcons Foxes Herons Hornets Lions Lynxes Martens
    Otters Owls Panthers Pikes Ravens Rockets Sharks Storks Swifts Tigers Wasps Wolves
    """
)
