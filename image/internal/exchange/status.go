package exchange

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// NewStatusError reads what a registry says about a refusal.
func NewStatusError(resp *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	return &StatusError{resp.StatusCode, reason(resp.Header.Get("Content-Type"), body), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

// reason finds a server's words in the forms that registries and what stands
// before them use; a page of HTML says nothing.
func reason(media string, body []byte) string {
	var said struct {
		Errors         []transport.Diagnostic `json:"errors"`
		Message, Error string
	}
	if json.Unmarshal(body, &said) == nil {
		return cmp.Or(Diagnostics(said.Errors), untrusted.CleanText(said.Message), untrusted.CleanText(said.Error))
	}
	if strings.HasPrefix(media, "text/plain") {
		return untrusted.CleanText(strings.TrimSpace(string(body)))
	}
	return ""
}

// Diagnostics is the first thing that a registry says about a refusal.
func Diagnostics(list []transport.Diagnostic) string {
	if len(list) == 0 {
		return ""
	}
	return untrusted.CleanText(string(list[0].Code) + " " + list[0].Message)
}

// retryAfter reads the header's two forms (RFC 9110, 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(value); err == nil && s > 0 && s < 1<<30 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
