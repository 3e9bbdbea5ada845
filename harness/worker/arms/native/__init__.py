"""In each framework's own idiom, without Keras.

Two flavours, since frameworks' defaults are not Keras's equations.

`equal` computes what Keras computes: its loss form, its optimizers with the spec's settings.
`idiomatic` is what that framework's own tutorial would write: its loss from logits, its optimizer
with its own defaults (of the spec's optimizer only name, learning rate and momentum are taken), its
own way to hand over batches. Weights and order are the spec's in both.
"""
