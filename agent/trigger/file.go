package trigger

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// File tells when the content of a file may have changed: it was written, replaced,
// came or went. What changes while nobody receives is told once.
func File(ctx context.Context, path string, log *slog.Logger) <-chan struct{} {
	out := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes are only seen by a restart", "file", path, "error", err)
		return out
	}
	dir := filepath.Dir(path)
	_ = w.Add(dir) // without a folder there is no file
	go func() {
		defer w.Close()
		was := content(path)
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.Errors:
			case <-w.Events:
			}
			if !calm(ctx, w) {
				return
			}
			if now := content(path); now != was {
				was = now
				select {
				case out <- struct{}{}:
				default:
				}
			}
		}
	}()
	return out
}

// content is what a file holds, "" if it cannot be read.
func content(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}
