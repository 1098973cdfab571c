"""The report: what stores say of the paper's claims and of the bounds, as one page that needs nothing else.

`python -m sim.report STORE… --out report.html`
"""
