"""The review report of one model: twelve parts made of blocks, and every form in which people read, edit or sign them.

Belongs here: what each part says of a training record, and how blocks become a page, a Word file, a workbook, a PDF.
Doesn't: measuring. Whoever measures returns blocks (`models.report_blocks`) and gets one line in `parts.py`.
"""
