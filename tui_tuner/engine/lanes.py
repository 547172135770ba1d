"""The lanes of the engine: threads with a queue each, so that one kind of work need not wait for another.

`mlx` does all that computes with mlx: arrays and streams belong to their thread. `side` answers at once what is asked
while a run goes on: models, previews, forecasts by sizes alone. `data` reads whole data sets, which takes a while.
`net` waits for the Hub, which takes as long as it takes. What the last three touch of mlx is never computed.
"""

from __future__ import annotations

from typing import Literal, get_args

Lane = Literal["mlx", "side", "data", "net"]
LANES: tuple[Lane, ...] = get_args(Lane)
