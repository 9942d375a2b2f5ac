"""Flow: whether the text that somebody else wrote decides where a call goes, or what leaves the account.

Scripts carry no labels. Every value that they have came through the host, which therefore can say of each *destination*
of a write, such as a recipient or a URL, where it came from: the script's own text, a value that only the account's
people can write, or a text by somebody else. :mod:`kosmolua.flow.memory` keeps what a session has seen, and
:mod:`kosmolua.flow.judge` compares the arguments of a call with it.
"""
