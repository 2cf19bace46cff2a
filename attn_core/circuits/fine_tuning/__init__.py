"""What a fine-tuning changed: two models of one shape side by side, head by head, by patterns and by weights.

May import capture (to run models), traces, `heads.compare` and `circuits.projections`.
Start with `changed_heads`; `weights` compares the matrices.
"""
