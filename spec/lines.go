package spec

// Lines returns the lines of a TOML document's keys by their dotted names, for
// messages about other files than the config repo's. Keys in arrays have none.
func Lines(document string) map[string]int {
	lines := map[string]int{}
	var note func(*node)
	note = func(n *node) {
		for _, key := range n.keys {
			lines[key.key()] = key.line
			note(key)
		}
	}
	note(scan(document, maxKeys).root)
	return lines
}
