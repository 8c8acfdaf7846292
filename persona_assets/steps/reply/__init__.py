"""Parts of a model's reply: what it says to the reader, boxes, sentences that state an answer."""
