package position

// Lines returns the lines of a TOML document's keys by their dotted names, for
// messages about other files than the config repo's, as far as there are most of
// them. Keys in arrays have none.
func Lines(document string, most int) map[string]int {
	lines := map[string]int{}
	var note func(*Node)
	note = func(n *Node) {
		for _, key := range n.keys {
			lines[key.Key()] = key.Line
			note(key)
		}
	}
	note(Scan(document, most).Root)
	return lines
}
