"""Common English words, for running speech that no one has to record. Other languages' voices read them as they can."""

from __future__ import annotations

_TEXT = """
about above after again air all almost along also always am and animal another answer any apple are around ask at away
baby back bad ball bank be bear because bed been before began behind best better between big bird black blue boat body
book both box boy bread bring brother brown build bus but buy by call came can car carry cat change chair child children
city class clean clear close cloud coffee cold colour come computer cook corner could country cup cut dance dark day
deep did different dinner do doctor does dog done door down draw dream drink drive dry during each early earth east easy
eat eight end enough even evening every eye face fall family far farm fast father feel few field find finger fire first
fish five floor flower fly follow food foot for forest found four friend from front fruit full game garden gave get girl
give glass go gold good grass great green ground group grow had half hand happy hard has hat have he head hear heart
heavy help her here high hill him his hold home horse hot hour house how hundred ice idea if in into is island it its
just keep key kind king kitchen know lady lake land large last late laugh learn leave left leg let letter light like
line listen little live long look lot love low machine made make man many map mark may me mean meet milk mind minute
money month moon more morning most mother mountain mouth move much music must my name near need never new next night
nine no north nose not now number of off often old on once one only open or orange order other our out over own page
paper park part party pass people person piece place plan plant play please point poor pretty pull push put question
quick quiet rain ran reach read ready red rest rich ride right ring river road room round run said same sand saw say
school sea second see seem seven shall she ship shirt shoe short should show side sing sister sit six sky sleep slow
small smile snow so some song soon sound south space speak spring stand star start station stay step still stone stop
story street strong such sugar summer sun sure swim table take talk tall tea teach tell ten than thank that the their
them then there these they thing think this those thought three through time to today together told tomorrow too took
top town train travel tree true try turn twelve two under until up us use very voice wait walk wall want warm was wash
watch water way we week well went were west what wheel when where which while white who why wild will wind window winter
wish with woman word work world would write year yellow yes yesterday you young your zero
"""

COMMON_WORDS = tuple(_TEXT.split())
"""Some 500 words of everyday speech, each once."""
