"""PyYAML's parser in Python, for where there is no libyaml."""

from yaml import parser, reader, scanner


class Parser(reader.Reader, scanner.Scanner, parser.Parser):
    """Gives events as PyYAML's ``CParser`` does."""

    def __init__(self, text: str) -> None:
        reader.Reader.__init__(self, text)
        scanner.Scanner.__init__(self)
        parser.Parser.__init__(self)
