// Tables and code that are wider than the screen scroll within their box: by keyboard, too.
const reachScrollingBoxes = () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
};
reachScrollingBoxes();
addEventListener("resize", reachScrollingBoxes);
new MutationObserver(reachScrollingBoxes).observe(document.body, { childList: true, subtree: true });
