package spec

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// imageFiles checks the repo's files that an image names.
func (l *loader) imageFiles(i *imageDecl) {
	if i.Archive != nil {
		l.archive(i.where.at("archive"), *i.Archive)
	}
	b := i.Build
	if b == nil {
		return
	}
	if archive, ok := strings.CutPrefix(text(b.From), "archive:"); ok {
		l.archive(b.where.at("from"), archive)
	}
	if len(b.Bootstrap) > 0 {
		l.program(b.where.at("bootstrap").item(0), b.Bootstrap[0])
	}
	if b.Context != nil && !l.file(b.where.at("context"), *b.Context, true) {
		return // each COPY would be said to take what is not there
	}
	l.recipe(b)
}

// program checks a command's first word. One that begins with ./ is a file of
// the repo.
func (l *loader) program(p place, word string) {
	name, inRepo := strings.CutPrefix(word, "./")
	switch {
	case inRepo:
		if message, hint := checks["repo-path"].text(name); message != "" {
			l.add(p, word, message, hint)
		}
	case strings.Contains(word, "/") && !path.IsAbs(word):
		l.add(p, word, "is neither the name of a program nor a file of the repo", "write a program's name, an absolute path, or ./ and a path from the repo's root")
	}
}

// archive checks an archive that lies in the repo: a file, or an OCI layout's
// folder.
func (l *loader) archive(p place, name string) {
	if inRepo(name) && badArchive(name) == "" {
		l.there(p, name)
	}
}

func inRepo(archive string) bool {
	return archive != "" && !isURL(archive) && !strings.HasPrefix(archive, "/")
}

// there checks that the repo has a file or folder.
func (l *loader) there(p place, name string) bool {
	info, err := fs.Stat(l.fleet.fsys, path.Clean(name))
	return l.file(p, name, err == nil && info.IsDir())
}

// hookFiles checks the repo's files that a hook names.
func (l *loader) hookFiles(h *hookDecl) {
	for i := range h.File {
		l.body(h.File[i].where, &h.File[i].bodyDecl)
	}
	for i := range h.Run {
		l.body(h.Run[i].where, &h.Run[i].bodyDecl)
	}
	for i := range h.AtBoot {
		l.body(h.AtBoot[i].where, &h.AtBoot[i].bodyDecl)
	}
	l.builtinFiles(h)
}

func (l *loader) body(p place, b *bodyDecl) {
	if b.Source != nil {
		l.file(p.at("source"), *b.Source, false)
	}
	if b.TemplateSource != nil {
		l.file(p.at("template_source"), *b.TemplateSource, false)
		l.templateFile(p.at("template_source"), *b.TemplateSource)
	}
}

func (l *loader) templateFile(p place, name string) {
	if leavesRepo(name) != "" {
		return
	}
	wrong, ok := l.templates[name]
	if !ok {
		text, err := readFile(l.fleet.fsys, path.Clean(name), maxFile)
		if err != nil || !l.spend(len(text)/32) {
			return
		}
		wrong = badTemplate(string(text))
		l.templates[name] = wrong
	}
	if wrong != "" {
		l.add(p, name, wrong, checks["template"].remedy)
	}
}

// cycles reports profiles and images that lead back to themselves.
func (l *loader) cycles() {
	f := l.fleet
	for _, cycle := range findCycles(sortedKeys(f.profiles), func(name string) []string { return f.profiles[name].Profiles }) {
		l.add(f.profiles[cycle[0]].where.at("profiles"), strings.Join(cycle, " → "), "goes round in a circle", "remove one of them")
	}
	parents := func(name string) []string {
		if parent := f.images[name].parent(); parent != "" {
			return []string{parent}
		}
		return nil
	}
	for _, cycle := range findCycles(f.Images(), parents) {
		l.add(f.images[cycle[0]].Build.where.at("from"), strings.Join(cycle, " → "), "goes round in a circle", "build one of them from something else")
	}
}

// findCycles returns each cycle once, from the first of its names that is
// reached back to that name.
func findCycles(names []string, next func(string) []string) [][]string {
	const onWay, done = 1, 2
	state := make(map[string]int, len(names))
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	var cycles [][]string
	var way []string
	var visit func(string)
	visit = func(name string) {
		switch {
		case !known[name] || state[name] == done:
			return
		case len(cycles) == maxProblems:
			return
		case state[name] == onWay:
			i := slices.Index(way, name)
			cycles = append(cycles, append(slices.Clone(way[i:]), name))
			return
		}
		state[name], way = onWay, append(way, name)
		for _, to := range next(name) {
			visit(to)
		}
		state[name], way = done, way[:len(way)-1]
	}
	for _, name := range names {
		visit(name)
	}
	return cycles
}
