"""What a job takes of the machine: processor, memory, GPU, heat, power, as far as they can be had without root.

`figures` names what can be known, `sensors`, `apple` and `nvidia` ask for it, and `sampler` puts a reading together. It
must never fail whoever asks, never show a figure that was not measured, and never take a noticeable share of a core.
"""
