// A colour of its own for each of the pack's types: links and slots, on the canvas and in Nodes 2.0.
import { app } from "../../../scripts/app.js"

const COLOURS = {
  CHUNKYGAN_GENERATOR: "#e8a33d",
  CHUNKYGAN_SEGMENTS: "#3fc1b0",
  CHUNKYGAN_INVERSION: "#e573b5",
  CHUNKYGAN_LABEL_MAP: "#b5d44b",
  CHUNKYGAN_LOSS: "#c08a6b",
  CHUNKYGAN_CODE: "#9c8cf0",
  CHUNKYGAN_ALIGNMENT: "#e8e07a",
  CHUNKYGAN_STEP: "#7ab8e8",
  CHUNKYGAN_DIRECTION: "#ef6f5e",
  CHUNKYGAN_MASK_GENERATOR: "#5f9e6e",
  CHUNKYGAN_ENCODER: "#8d9db6",
}

// Nodes 2.0 reads a CSS variable. A palette sets its own on the document's element, which stands above this rule.
function colourNodes2() {
  const rules = Object.entries(COLOURS).map(([type, colour]) => `--color-datatype-${type}: ${colour};`)
  const style = document.createElement("style")
  style.textContent = `:root { ${rules.join(" ")} }`
  document.head.append(style)
}

// The canvas reads two tables. A palette empties the entries of types that it doesn't know, and that at any time, so
// an empty entry gives our colour.
function colourCanvas() {
  const tables = [app.canvas?.default_connection_color_byType, app.canvas?.constructor?.link_type_colors]
  for (const table of tables.filter(Boolean)) {
    for (const [type, colour] of Object.entries(COLOURS)) keepColour(table, type, colour)
  }
}

function keepColour(table, type, colour) {
  let ofPalette = table[type]
  Object.defineProperty(table, type, {
    get: () => ofPalette || colour,
    set: (value) => (ofPalette = value),
    enumerable: true,
    configurable: true,
  })
}

app.registerExtension({
  name: "ChunkyGAN.socketColours",
  setup() {
    colourNodes2()
    colourCanvas()
  },
})
