package render

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// A template that was executed before makes of other data what it would make at first,
// whatever became of it then, for several at once.
func TestTemplatesAreKept(t *testing.T) {
	const text = `{{ define "t" }}{{ . }}{{ end }}{{ range .List }}{{ template "t" . }}{{ end }}{{ if .Secret }}{{ secret .Secret }}{{ end }}`
	var templates Templates
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 50 {
				word := fmt.Sprint(worker, "-", i)
				if _, err := templates.Text(text, map[string]any{"List": []any{word}, "Secret": word}, budget(1e4)); err == nil {
					t.Error("a text has a secret")
				}
				if _, err := templates.Text(text, map[string]any{"List": []any{word}}, budget(1e4)); err == nil {
					t.Error("a variable that is not there was printed")
				}
				if _, err := templates.Text(text, map[string]any{"List": []any{word}}, budget(25)); err == nil {
					t.Error("more was done than may be")
				}
				out, secrets, err := templates.File(text, map[string]any{"List": []any{word, "x"}, "Secret": word}, budget(1e4))
				if want := word + "x"; err != nil || out != want || len(secrets) != 1 || secrets[0] != (Secret{word, len(want)}) {
					t.Errorf("%q, %v, %v", out, secrets, err)
				}
			}
		})
	}
	all.Wait()
	if n := len(templates.idle[text]); n == 0 || n > 4 {
		t.Errorf("%d are kept", n)
	}
}

// What is kept is bounded, however many templates there are and however long.
func TestTemplatesKeptAreBounded(t *testing.T) {
	var templates Templates
	for i := range 300 {
		text := fmt.Sprintf("%s{{ %d }}", strings.Repeat("x", i*1000%(2*maxHeld)), i)
		if _, err := templates.Text(text, nil, budget(1e5)); err != nil {
			t.Fatal(err)
		}
		held := 0
		for text, idle := range templates.idle {
			held += len(idle) * (len(text) + overhead)
		}
		if held > maxHeld || held != templates.held {
			t.Fatalf("%d bytes are kept, %d counted", held, templates.held)
		}
	}
}
