package table

import "strings"

// words are texts that were taken out of documents. A part of a document's text would keep
// all of it, and what the many files of a fleet say is mostly the same.
type words struct{ known map[string]string }

// maxWords is how many are known at a time, and maxWord how long one is: what is longer
// stays part of its document.
const maxWords, maxWord = 4096, 1 << 10

// own is a text apart from its document.
func (w *words) own(s string) string {
	if len(s) > maxWord {
		return s
	}
	if known, ok := w.known[s]; ok {
		return known
	}
	if w.known == nil || len(w.known) == maxWords {
		w.known = map[string]string{}
	}
	s = strings.Clone(s)
	w.known[s] = s
	return s
}

// table is a table that may hold anything, likewise.
func (w *words) table(of map[string]any) map[string]any {
	own := make(map[string]any, len(of))
	for key, value := range of {
		own[w.own(key)] = w.value(value)
	}
	return own
}

func (w *words) value(v any) any {
	switch v := v.(type) {
	case string:
		return w.own(v)
	case map[string]any:
		return w.table(v)
	case []any:
		for i := range v {
			v[i] = w.value(v[i])
		}
	case []map[string]any:
		for i := range v {
			v[i] = w.table(v[i])
		}
	}
	return v
}
