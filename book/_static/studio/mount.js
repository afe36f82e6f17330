// Finds what is alive on a page, and loads its module: a page without any of it loads nothing more than this.
//
//   <div class="nst-studio">...</div>                            the studio, with everything
//   <div class="nst-widget" data-method="adain">...</div>        a small one, of one method
//   <div class="nst-explore" data-figure="gram">...</div>             a figure that answers, see ../explore
//
// What the element holds is its fallback: it stays where there is no JavaScript, and on pages that are opened as files,
// to which browsers refuse modules.

"use strict";

(() => {
  const folder = new URL("./", document.currentScript.src);
  const found = document.querySelectorAll(".nst-studio, .nst-widget, .nst-explore");
  if (!found.length) return;
  if (location.protocol === "file:") {
    for (const element of found) element.classList.add("nst-needs-server");
    return;
  }
  const sheet = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: new URL("studio.css", folder).href,
  });
  document.head.append(sheet);
  const begin = async (element) => {
    if (element.classList.contains("nst-explore")) {
      const { explore } = await import(new URL("../explore/explore.js", folder).href);
      return explore(element);
    }
    const { Studio } = await import(new URL("studio.js", folder).href);
    return new Studio(element);
  };
  for (const element of found) begin(element).catch((error) => console.error(error));
})();
