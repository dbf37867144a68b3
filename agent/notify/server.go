package notify

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"

	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/reconciler/event"
)

// A server is told over HTTP.
type server struct {
	Options
	client outbound.Client
}

func (s server) tell(ctx context.Context, e event.Event) error {
	doc, err := s.webhook(e)
	if s.Kind == Ntfy {
		doc, err = s.ntfy(e), nil
	}
	if err != nil {
		return err
	}
	doc.URL, doc.TokenFile = s.URL, s.TokenFile
	doc.Authorize = func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }
	return s.client.Send(ctx, doc)
}

// webhook is the event as JSON.
func (s server) webhook(e event.Event) (outbound.Document, error) {
	body, err := json.Marshal(told{e, e.Message()})
	return outbound.Document{Body: body, Header: http.Header{"Content-Type": {"application/json"}}}, err
}

// ntfy is a message to a topic: the text is the body, all else is in the header
// (docs.ntfy.sh/publish), where what is not ASCII is encoded by RFC 2047.
func (s server) ntfy(e event.Event) outbound.Document {
	title, text := words(e)
	priority, tag := "default", "information_source"
	switch {
	case urgent(e):
		priority, tag = "high", "warning"
	case e.Kind == event.Recovered:
		tag = "white_check_mark"
	case e.Kind == event.RebootNeeded:
		tag = "arrows_counterclockwise"
	}
	return outbound.Document{Body: []byte(text), Header: http.Header{
		"Content-Type": {"text/plain; charset=utf-8"},
		"Title":        {mime.QEncoding.Encode("utf-8", title)}, "Priority": {priority}, "Tags": {tag},
	}}
}
