package mirror

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// told tells of each object that was given out, and of what was of the config repo: to whom,
// and how much of it. Documents, and what others look whether there is something new, are
// many and small, and told of to who looks for faults.
func told(next http.Handler, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, counted := time.Now(), &counter{ResponseWriter: w}
		next.ServeHTTP(counted, r)
		level := slog.LevelDebug
		object := r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
		if (object || r.Method == http.MethodPost) && counted.sent > 0 && counted.status < http.StatusBadRequest {
			level = slog.LevelInfo
		}
		if o.Served != nil && counted.sent > 0 && counted.status < http.StatusBadRequest {
			o.Served(kind(r.URL.Path), counted.sent)
		}
		o.Log.Log(r.Context(), level, "gave to another machine", "to", r.RemoteAddr, "what", r.URL.Path, "status", counted.status, "bytes", counted.sent, "took", time.Since(began).Round(time.Millisecond))
	})
}

func kind(path string) string {
	switch {
	case strings.HasPrefix(path, RepoPath+"/"):
		return "repo"
	case strings.Contains(path, "/blobs/"):
		return "object"
	}
	return "document"
}

// A counter counts what is sent of an answer's body.
type counter struct {
	http.ResponseWriter
	status int
	sent   int64
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.sent += int64(n)
	return n, err
}

// ReadFrom leaves copying files to the kernel.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := io.Copy(c.ResponseWriter, r)
	c.sent += n
	return n, err
}
