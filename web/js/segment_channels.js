// The channels that Segment Channels found, as buttons below its widgets: a click chooses the rank, a double click runs
// the workflow, too. A widget of its own, since clicks on the host's previews differ between canvas and Nodes 2.0.
import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"

const NODE = "ChunkyGAN_SegmentChannels"
const OUTPUT = "chunkygan_channels"
const RANK = "rank"
const SHEET = "channels"
const EMPTY = 24 // pixels
const FILLED = 320

function widgetOf(node, name) {
  return node?.comfyClass === NODE ? node.widgets?.find((widget) => widget.name === name) : undefined
}

function addSheet(node) {
  const element = document.createElement("div")
  element.style.cssText =
    "display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 4px; align-content: start; " +
    "overflow-y: auto; box-sizing: border-box;"
  const height = () => (element.childElementCount ? FILLED : EMPTY)
  const sheet = node.addDOMWidget(SHEET, "chunkygan_channels", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
  })
  sheet.serialize = false // it has no value: saved workflows hold values by position
}

function addCell(node, element, channel) {
  const cell = document.createElement("button")
  cell.type = "button"
  cell.dataset.rank = String(channel.rank)
  cell.title = `${channel.caption}: moved down (left) and up (right). Click to choose, double click to run.`
  cell.style.cssText =
    "padding: 2px; border: 2px solid transparent; border-radius: 4px; background: none; color: inherit; " +
    "font-size: 11px; line-height: 1.2; cursor: pointer;"
  const image = document.createElement("img")
  image.src = api.apiURL(`/view?${new URLSearchParams(channel.image)}`)
  image.alt = channel.caption
  image.draggable = false
  image.style.cssText = "display: block; width: 100%;"
  const caption = document.createElement("span")
  caption.textContent = `${channel.rank}: ${channel.caption}`
  cell.append(image, caption)
  cell.addEventListener("click", () => choose(node, channel.rank))
  cell.addEventListener("dblclick", () => app.queuePrompt(0, 1))
  element.append(cell)
}

function choose(node, rank) {
  const widget = widgetOf(node, RANK)
  if (!widget) return
  widget.value = rank
  widget.callback?.(rank)
  mark(node)
  node.setDirtyCanvas?.(true, true)
}

function mark(node) {
  const chosen = String(widgetOf(node, RANK)?.value)
  for (const cell of widgetOf(node, SHEET)?.element.children ?? []) {
    const isChosen = cell.dataset.rank === chosen
    cell.style.borderColor = isChosen ? "#e573b5" : "transparent"
    cell.setAttribute("aria-pressed", String(isChosen))
  }
}

function show(node, channels) {
  const sheet = widgetOf(node, SHEET)
  if (!sheet || !channels?.length) return
  const isFirst = !sheet.element.childElementCount
  sheet.element.replaceChildren()
  for (const channel of channels) addCell(node, sheet.element, channel)
  mark(node)
  if (!isFirst) return
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width, 480), Math.max(node.size[1], height)])
  node.setDirtyCanvas?.(true, true)
}

// Outputs are kept by "node" in the workflow itself, and by "subgraph:node" inside of a subgraph.
function located(id) {
  const [first, second] = id.split(":")
  const root = app.rootGraph ?? app.graph
  const graph = second === undefined ? root : root?.subgraphs?.get(first)
  return graph?.getNodeById?.(second ?? first) ?? graph?.getNodeById?.(Number(second ?? first))
}

app.registerExtension({
  name: "ChunkyGAN.segmentChannels",
  nodeCreated(node) {
    const rank = widgetOf(node, RANK)
    if (!rank) return
    addSheet(node)
    const typed = rank.callback
    rank.callback = function (...given) {
      const result = typed?.apply(this, given)
      mark(node)
      return result
    }
    const executed = node.onExecuted
    node.onExecuted = function (output) {
      executed?.call(this, output)
      show(node, output?.[OUTPUT])
    }
  },
  onNodeOutputsUpdated(outputs) {
    for (const [id, output] of Object.entries(outputs ?? {})) show(located(id), output?.[OUTPUT])
  },
  loadedGraphNode: mark, // the values of a saved workflow come after the node is made
})
