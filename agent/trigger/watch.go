package trigger

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gitboot/gitboot/reconciler/source/gitdir"
)

const (
	// settle is how long a repo has to be left alone before it is looked at, and
	// patience how long that is waited for: git writes several files.
	settle   = 30 * time.Millisecond
	patience = 300 * time.Millisecond
	// rearm is how often folders are looked for that could not be watched.
	rearm = time.Minute
	// maxFolders bounds how many folders of refs are watched.
	maxFolders = 256
)

// watch asks when a branch or tag of a repo in a folder changes, by commits, by
// packing refs, or because the folder is another one. Where nothing can be
// watched, the poll has to do.
func watch(ctx context.Context, repo string, log *slog.Logger, ask func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of the config repo are only seen by polling", "repo", repo, "error", err)
		return
	}
	defer w.Close()
	// The kernel names what is behind links.
	if real, err := filepath.EvalSymlinks(repo); err == nil {
		repo = real
	}
	v := &view{repo: repo, watcher: w}
	v.arm()
	ask() // for what changed before it was watched
	again := time.NewTicker(rearm)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			if v.arm() {
				ask()
			}
		case err := <-w.Errors:
			log.Debug("watching the config repo", "repo", repo, "error", err)
			ask() // events may be lost
		case e := <-w.Events:
			if v.concerns(e) && calm(ctx, w) {
				v.disarm()
				v.arm()
				ask() // for what changed in between, too
			}
		}
	}
}

// calm waits until nothing happens any more, for a bounded time, and reports
// false if ctx ends.
func calm(ctx context.Context, w *fsnotify.Watcher) bool {
	end := time.NewTimer(patience)
	defer end.Stop()
	still := time.NewTimer(settle)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-still.C:
			return true
		case <-w.Events:
			still.Reset(settle)
		}
	}
}

// A view is what is watched of a repo.
type view struct {
	repo    string
	dir     gitdir.Dir
	watcher *fsnotify.Watcher
}

// disarm gives up all watches: a folder that was replaced has another one's.
func (v *view) disarm() {
	for _, path := range v.watcher.WatchList() {
		_ = v.watcher.Remove(path) // it may be gone
	}
}

// arm watches the folders that there are now, and reports whether one was not
// watched before.
func (v *view) arm() (added bool) {
	watched := v.watcher.WatchList()
	folders := []string{filepath.Dir(v.repo), v.repo}
	if dir, err := gitdir.Find(v.repo); err == nil {
		v.dir = dir
		folders = append(folders, dir.Own, dir.Common)
		folders = append(folders, refFolders(filepath.Join(dir.Common, "refs"))...)
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		if slices.Contains(watched, folder) {
			continue
		}
		if err := v.watcher.Add(folder); err == nil { // what is not there is looked for again
			added = true
		}
	}
	return added
}

// refFolders lists the folders in which branches and tags lie.
func refFolders(refs string) (out []string) {
	_ = filepath.WalkDir(refs, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it has just gone
		case len(out) == maxFolders:
			return fs.SkipAll
		case d.IsDir():
			out = append(out, path)
		}
		return nil
	})
	return out
}

// concerns reports whether an event may be that of another tip.
func (v *view) concerns(e fsnotify.Event) bool {
	base := filepath.Base(e.Name)
	switch {
	case e.Op == fsnotify.Chmod, strings.HasSuffix(base, ".lock"):
		return false
	case e.Name == v.repo, slices.Contains(v.dir.Paths(v.repo), e.Name), base == gitdir.Name:
		return true // it came, went, or is another one
	case filepath.Dir(e.Name) == v.dir.Own || filepath.Dir(e.Name) == v.dir.Common:
		return base == "HEAD" || base == "packed-refs" || base == "refs"
	}
	return strings.HasPrefix(e.Name, filepath.Join(v.dir.Common, "refs")+string(filepath.Separator))
}
