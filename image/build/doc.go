// Package build turns what a config repo declares of an image into an image.
//
// # Use
//
//	p, err := build.Prepare(build.Recipe{Name: "desktop", FS: files, Containerfiles: …})
//	key := p.Key(build.Settings{Base: baseDigest, Engine: "buildah"})
//	engine, err := build.NewBuildah(build.BuildahOptions{Dir: stage + "/engine", …})
//	img, err := build.Run(ctx, engine, p, build.Options{Base: baseID, …})
//
// Prepare reads the repo and renders one plain Containerfile. Nothing is run
// and nothing is written, so that it may be done at every poll. The key names
// each thing that decides the image: equal keys need no build, and where keys
// differ, Key.Differences says in which files.
//
// # Containerfile
//
// Each fragment becomes a stage that begins from the one before; the first
// begins from the build argument GITBOOT_FROM, which is the base. Then follow
// recipe, copy and run in a stage of their own, and last the root file
// system's fixes (fixes.go). What Render gives is what the engine executes.
//
// # Engines
//
// An Engine holds base images and what was built, and hands out layers as
// uncompressed tars. Nothing is pushed or compressed between an engine and the
// stage. Every engine passes the tests in engine_test.go. Buildah is run here;
// BuildKit is a daemon somewhere, spoken to by a program of our own (package
// buildkit).
//
// # What it does not do
//
// It decides neither when to build nor what is kept: package reconciler does.
package build
