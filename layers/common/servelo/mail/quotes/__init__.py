"""What mail programs write around a quotation, as data (``lexicon``, ``dom``) and the grammars that read it.

``lexicon``      words of 60 languages: who wrote, header names, "original message", "sent from my" …
``scan``         the lines of a mail, and what parts them
``attribution``  the line or lines above a quotation: date, person, "wrote"
``header_block`` From / Sent / To / Subject blocks
``separators``   "original message", "forwarded message", "reply above this line", rules
``signature``    "-- ", "sent from my …", mailing list footers
``dom``          what programs leave in HTML, carried through the rendering into text
"""
