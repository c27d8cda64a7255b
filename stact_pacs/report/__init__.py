"""People read what happened: the page of each case, the list of cases, pictures and charts.

::

    pages         renders and writes: write_case, write_index
    case_view     decides every sentence, fact and row of a case's page; index_view does so for the list
    earlier_view  other results of the patient; growth decides where sizes may be compared
    nodules       one nodule as the page shows it
    charts        weights and probability as SVG inside the page; drawing is what every chart stands on
    pictures      the attachments, made while the pixels are in memory; key_frame draws them
    words, table  how values are said, and the shapes they stand in; titles: what a case is called
    training_*    the report of a training run: page, view, charts
"""
