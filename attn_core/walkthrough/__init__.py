"""One head, stage by stage, computed again from its weights, so that a stage can be looked at or left out.

May import traces, the mathematics (attention, masks, rotary) and errors.
Start with `head`: `HeadInputs` → `run_stages` → `HeadStages`. `from_trace` takes the inputs from a real head, `toy` is
a head that can be checked on paper, and `ablations` lists the stages that can be left out.
"""
