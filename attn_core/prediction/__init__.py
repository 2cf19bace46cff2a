"""What the model says next: the next token's probabilities, continuing a text, the logit lens, labels, translation.

May import traces, capture and text.
Start with `next_token`; `labels` is what a fine-tuned head says, `translation` is about models that read one sentence
and write another.
"""
