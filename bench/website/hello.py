"""The peer of `web.py`: an application on the same server that only says hello."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/")
def hello() -> PlainTextResponse:
    return PlainTextResponse("hello")
