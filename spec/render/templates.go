package render

import (
	"sync"
	"text/template"
)

// Templates execute templates, and keep those that were parsed for the next machine. The
// zero value is ready; several goroutines may use it.
type Templates struct {
	mu   sync.Mutex
	idle map[string][]*ready
	held int
}

// maxHeld bounds what is kept, in bytes of templates with as much as overhead counts for
// each: what was parsed takes up to a hundred times that.
const maxHeld, overhead = 128 << 10, 256

// A ready template counts what it does. It is executed once at a time.
type ready struct {
	template *template.Template
	counter  *counter
}

// A Secret is one that a template prints: what it is, others put there.
type Secret struct {
	Name string
	At   int // where in the text it goes
}

// Text executes a template. spend is told what is going to be done, in units,
// and its error, if it has one, is returned. A template that prints secrets has
// no text.
func (t *Templates) Text(text string, data map[string]any, spend func(units int) error) (string, error) {
	out, _, err := t.execute(text, data, counter{spend: spend})
	return out, err
}

// File executes the template of a file, which may print secrets. They are not in
// the text yet.
func (t *Templates) File(text string, data map[string]any, spend func(units int) error) (string, []Secret, error) {
	return t.execute(text, data, counter{spend: spend, secretive: true})
}

func (t *Templates) execute(text string, data map[string]any, begin counter) (string, []Secret, error) {
	if err := begin.spend(20 + len(text)/perUnit); err != nil {
		return "", nil, err
	}
	r, err := t.take(text)
	if err != nil {
		return "", nil, err
	}
	c := r.counter
	*c = begin
	err = r.template.Execute(c, data)
	out, secrets, ended := c.out.String(), c.secrets, c.ended
	*c = counter{}
	t.keep(text, r)
	if ended != nil {
		return "", secrets, ended
	}
	return out, secrets, place(err)
}

// take returns a template that nobody else executes.
func (t *Templates) take(text string) (*ready, error) {
	if r := t.kept(text); r != nil {
		return r, nil
	}
	c := &counter{}
	parsed, err := parsed(text, c.functions())
	if err != nil {
		return nil, err
	}
	return &ready{parsed.Funcs(c.inserted()), c}, nil
}

func (t *Templates) kept(text string) *ready {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[text]
	if len(idle) == 0 {
		return nil
	}
	t.idle[text] = idle[:len(idle)-1]
	t.held -= len(text) + overhead
	return idle[len(idle)-1]
}

// keep lets the next one execute it. Where there is too much, all that was kept is given
// up: what is needed again is parsed again.
func (t *Templates) keep(text string, r *ready) {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := len(text) + overhead
	if t.held+size > maxHeld || t.idle == nil {
		t.idle, t.held = map[string][]*ready{}, 0
	}
	if size <= maxHeld {
		t.idle[text] = append(t.idle[text], r)
		t.held += size
	}
}
