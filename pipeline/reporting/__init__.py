"""What people ask and are shown: a folder for each question, with what computes the answer, `view.py` for the terminal and `json.py`.

It reads what nights stored and what definitions say, and changes nothing but the pages that it writes. It must not know how a night
is run: `operations` and `cli` call it.
"""
