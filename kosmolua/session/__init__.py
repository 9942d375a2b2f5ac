"""Sessions: Lua chunk by chunk, where each finds the state that the ones before it left."""

from kosmolua.session.answer import Answer, Names
from kosmolua.session.guest import Guest
from kosmolua.session.session import CHUNK, Session

__all__ = ["CHUNK", "Answer", "Guest", "Names", "Session"]
