"""The teacher's kit: ready views with measured figures, as links, slides, frames and a worksheet."""

from ui.drawing import canvas
from ui.page import open_page
from ui.teachers_kit import layout, worksheet

page = open_page("teachers_kit", layout.PARAMS, sentence=False, model=False)
if page.state["sheet"]:
    worksheet.show(page)
else:
    layout.show(page)
    page.offer_pictures("teacher's kit", sentences=())
canvas.follow_theme()
