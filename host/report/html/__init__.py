"""A study as one HTML file that opens without the internet, in English and Japanese.

page.py        all of it: page.html, filled in, with page.css and page.js     texts.py     every text, from texts.toml
series.py      the figures of the rows by board and rate                      palette.py   how boards are told apart
specs.py       the figures as Vega-Lite         figures.py    with their data
verdicts.py    what compression buys, and which rate to take
examples.py    images and error maps            conditions.py what was done, and on what
vega.py        the script that draws, vega.js.gz
"""
