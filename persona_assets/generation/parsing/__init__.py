"""From a response with status 200 to an answer: finish reason, message, scaffolding, JSON.

    finish_reasons.py  the endpoint's word for the end of an answer
    message.py         content, thinking and refusal of a message of any shape
    scaffolding.py     thinking and chat-template tokens around the content
    tolerant_json.py   JSON as models write it
    latex.py           backslashes of LaTeX in JSON strings
    embeddings.py      vectors of a response
    model_names.py     the model that answered, if it is another than the one asked

Belongs here: pure functions of the response alone, in linear time, which never raise on any text.
Does not belong here: retries (completion.py), errors over HTTP (calls/), the format on disk
(journal/).
"""
