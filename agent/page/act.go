package page

import (
	"net/http"

	"github.com/gitboot/gitboot/agent/page/view"
)

// maxForm is how much a form may say.
const maxForm = 8 << 10

// act does what a form asks for, and goes back to the page, which says what
// became of it.
func (p *Page) act(w http.ResponseWriter, r *http.Request, s *session) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	name := r.PostForm.Get("do")
	if !p.can[name] {
		http.Error(w, "there is no such action", http.StatusBadRequest)
		return
	}
	get := r.PostForm.Get
	done, err := p.opts.Do(r.Context(), s.by, name, Wish{Name: get("name"), Label: get("label"), Why: get("why"), For: get("for")})
	if err != nil {
		p.sessions.say(s, said{view.Lines(err.Error()), view.Bad})
	} else {
		p.sessions.say(s, said{view.Lines(done), view.Good})
	}
	http.Redirect(w, r, "./", http.StatusSeeOther)
}
