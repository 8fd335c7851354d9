// Latent Edit and Load Direction list what fits the file of the Load StyleGAN that they are connected to. Without one,
// and where the server can't tell, they list everything. A chosen entry stays in the list whether it fits or not.
import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"

const ROUTE = "/chunkygan/directions"
const LOADER = "ChunkyGAN_LoadStyleGAN"
const NAME = "name"
const UPSAMPLING = "upsampling"
const INPUT = "generator"
const LISTS = {
  ChunkyGAN_LatentEdit: { widget: "direction", answer: "directions" },
  ChunkyGAN_LoadDirection: { widget: "file", answer: "files" },
}
const OFF = [2, 4] // modes of muted and of bypassed nodes

const answers = new Map() // by query; null = not yet, or the server can't tell
const shown = new WeakMap() // what Nodes 2.0 was last told, by widget

function allNodes() {
  const root = app.rootGraph ?? app.graph
  return [root, ...(root?.subgraphs?.values() ?? [])].flatMap((graph) => graph?.nodes ?? [])
}

const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name)

const isLinked = (node, name) => node.inputs?.some((input) => input.widget?.name === name && input.link != null)

// The Load StyleGAN behind an input; none where it is another node, off, or more than one.
function loaderBefore(node, slot) {
  const link = node.graph?.getLink?.(node.inputs?.[slot]?.link)
  return link ? loaderAt(link, node.graph) : undefined
}

function loaderAt(link, graph) {
  const { outputNode, subgraphInput } = link.resolve(graph)
  if (!subgraphInput) return outputNode && loaderBehind(outputNode, link.origin_slot)
  const hosts = allNodes().filter((node) => node.isSubgraphNode?.() && node.subgraph === graph)
  return hosts.length === 1 ? loaderBefore(hosts[0], link.origin_slot) : undefined
}

function loaderBehind(node, slot) {
  if (OFF.includes(node.mode)) return undefined
  if (node.comfyClass === LOADER) return node
  if (node.isSubgraphNode?.()) {
    const link = node.subgraph.outputNode?.slots[slot]?.getLinks().at(0)
    return link ? loaderAt(link, node.subgraph) : undefined
  }
  if (!node.isVirtualNode) return undefined
  const source = node.resolveVirtualOutput?.(slot)
  return source ? loaderBehind(source.node, source.slot) : loaderBefore(node, 0) // a reroute has one input
}

function queryFor(node) {
  const loader = loaderBefore(node, node.inputs?.findIndex((input) => input.name === INPUT))
  const name = loader && widgetOf(loader, NAME)?.value
  if (!name || isLinked(loader, NAME) || isLinked(loader, UPSAMPLING)) return undefined
  return String(new URLSearchParams({ generator: name, upsampling: widgetOf(loader, UPSAMPLING)?.value ?? "auto" }))
}

function answerTo(query) {
  if (!answers.has(query)) {
    answers.set(query, null)
    ask(query)
  }
  return answers.get(query)
}

async function ask(query) {
  try {
    const response = await api.fetchApi(`${ROUTE}?${query}`)
    if (response.ok && answers.has(query)) answers.set(query, await response.json())
  } catch (error) {
    console.warn("ChunkyGAN lists all directions:", error)
  }
  tellPage()
}

function choicesFor(node, list, whole) {
  const widget = widgetOf(node, list.widget)
  if (!widget || !Array.isArray(whole) || isLinked(node, list.widget)) return whole
  const query = queryFor(node)
  const fitting = query && answerTo(query)?.[list.answer]
  if (!fitting) return whole
  const kept = new Set([...fitting, widget.value])
  return whole.filter((choice) => kept.has(choice))
}

// Asked anew whenever the list is needed; what the page sets, at R, is the whole list.
function follow(node, list) {
  const widget = widgetOf(node, list.widget)
  if (!widget) return
  let whole = widget.options.values
  Object.defineProperty(widget.options, "values", {
    configurable: true,
    enumerable: true,
    get: () => choicesFor(node, list, whole),
    set: (values) => (whole = values),
  })
}

// Nodes 2.0 keeps a copy of the list until something else of the widget changes; the canvas asks whenever it draws.
function tellPage() {
  for (const node of allNodes()) {
    const list = LISTS[node.comfyClass]
    const widget = list && widgetOf(node, list.widget)
    const text = JSON.stringify(widget?.options.values)
    if (!widget || shown.get(widget) === text) continue
    shown.set(widget, text)
    const { label } = widget
    widget.label = `${label ?? widget.name} `
    widget.label = label
  }
}

function tellAfter(owner, method) {
  const before = owner[method]
  owner[method] = function (...given) {
    const result = before?.apply(this, given)
    queueMicrotask(tellPage) // the links are in place by then
    return result
  }
}

app.registerExtension({
  name: "ChunkyGAN.directionList",
  setup() {
    api.addEventListener("graphChanged", tellPage)
  },
  nodeCreated(node) {
    const list = LISTS[node.comfyClass]
    if (list) {
      follow(node, list)
      tellAfter(node, "onConnectionsChange")
    }
    if (node.comfyClass !== LOADER) return
    for (const name of [NAME, UPSAMPLING]) {
      const widget = widgetOf(node, name)
      if (widget) tellAfter(widget, "callback")
    }
  },
  afterConfigureGraph: tellPage,
  refreshComboInNodes() {
    answers.clear() // files may be other ones
    tellPage()
  },
})
