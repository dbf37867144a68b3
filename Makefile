# gitboot's targets; "make help" lists them. Only Go, git, bash and make are
# needed to begin: demo, test and bench install the Debian packages that lack.

PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go
# Where install finds what build made.
BIN     ?= bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The version is stamped by the linker; Go's own stamping fails in a clone that
# belongs to another user.
export GOFLAGS := $(GOFLAGS) -buildvcs=false
export CGO_ENABLED := 0
# Go wants a home for its caches, which a bare CI environment may lack.
export HOME := $(or $(HOME),$(shell getent passwd "$$(id -u)" | cut -d: -f6),/tmp)

LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := $(GO) build -trimpath -ldflags "$(LDFLAGS)"
# The whole run fits in 35 minutes on two cores; the limit is for a package that hangs.
TIMEOUT ?= 30m
# What to test: another value is for looking at one part. They begin in this order:
# the machines that boot take longest, and would else run last, and alone.
PACKAGES ?= ./tests/vm ./...

# GOARCH=arm64 builds for another computer than this, which HOST is what runs on.
HOST    := GOARCH=$(shell $(GO) env GOHOSTARCH)
FOREIGN := $(filter-out $(shell $(GO) env GOARCH),amd64 arm64)

share := $(DESTDIR)$(PREFIX)/share
units := $(DESTDIR)$(PREFIX)/lib/systemd/system

.DEFAULT_GOAL := build
.PHONY: build demo demo-disk demo-install test test-long test-short lint vulnerabilities bench install packages deb rpm arch clean help

# gitboot-docs writes manual pages and is not installed. gitboot-init has no version in it, so that it changes only when its code does:
# another gitboot-init is another initramfs, and so another deployment. Those of other
# architectures are for disks that are made here for such machines.
build: ## bin/gitboot, gitboot-init, gitboot-rescue and gitboot-buildkit, static
	$(BUILD) -o bin/gitboot ./cmd/gitboot
	$(HOST) $(BUILD) -tags docs -o bin/gitboot-docs ./cmd/gitboot
	$(GO) build -trimpath -ldflags "-s -w" -o bin/gitboot-buildkit ./cmd/gitboot-buildkit
	$(GO) build -trimpath -ldflags "-s -w" -o bin/gitboot-init ./cmd/gitboot-init
	for arch in $(FOREIGN); do GOARCH=$$arch $(GO) build -trimpath -ldflags "-s -w" -o bin/gitboot-init-$$arch ./cmd/gitboot-init || exit 1; done
	$(GO) build -trimpath -ldflags "-s -w" -o bin/gitboot-rescue ./cmd/gitboot-rescue

demo: ## a commit becomes a booted (virtual) machine, then another
	tests/deps.sh demo
	$(GO) run ./tests/demo

demo-disk: ## the config repo becomes a signed disk, which boots by itself
	tests/deps.sh demo
	$(GO) run ./tests/demo -disk

demo-install: ## the config repo becomes a medium, which installs a machine by itself
	tests/deps.sh demo
	$(GO) run ./tests/demo -install

# -count=1, because tests that build and run the program depend on files that
# go's cache of results does not see; tests/noskip fails where a test is skipped
# that could run.
test: ## every test; as root also the disks and the machines that boot
	tests/deps.sh test
	$(GO) run ./tests/noskip -count=1 -timeout $(TIMEOUT) $(PACKAGES)

test-long: ## what make test leaves out, because it takes long
	tests/deps.sh test
	$(GO) run ./tests/noskip -count=1 -timeout 180m -tags long -run '^TestLong' ./initramfs ./boot/sdboot ./tests/vm ./tests/cut ./tests/crash ./tests/diskboot ./tests/demo ./tests/script

test-short: ## no root, no QEMU, under a minute
	$(GO) test -short -timeout 5m ./...

lint: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags faults ./...
	$(GO) vet -tags docs ./cmd/gitboot
	$(GO) vet -tags long ./initramfs ./boot/sdboot ./tests/vm ./tests/cut ./tests/crash ./tests/diskboot ./tests/demo ./tests/script
	$(GO) tool staticcheck ./...

# The database is a module, too: the module proxy has all that this needs. It is
# not in lint, which says the same of the same commit whatever becomes known and
# whichever Go there is.
vulnerabilities: ## govulncheck: what is known of Go and of the libraries
	@db=$$($(GO) mod download -json golang.org/x/vulndb@latest | sed -n 's|^\t"Dir": "\(.*\)",$$|\1|p'); \
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db "file://$$db/data/osv" ./...

bench: ## figures against other tools' (docs/benchmarks.md)
	tests/deps.sh bench
	$(GO) run ./tests/bench

install: build ## programs, manual pages, completions and systemd units, into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BIN)/gitboot $(DESTDIR)$(PREFIX)/bin/gitboot
	install -D -m 755 $(BIN)/gitboot-init $(DESTDIR)$(PREFIX)/lib/gitboot/gitboot-init
	for arch in $(FOREIGN); do f=gitboot-init-$$arch; \
		[ ! -f "$(BIN)/$$f" ] || install -D -m 755 "$(BIN)/$$f" "$(DESTDIR)$(PREFIX)/lib/gitboot/$$f" || exit 1; done
	install -D -m 755 $(BIN)/gitboot-rescue $(DESTDIR)$(PREFIX)/lib/gitboot/gitboot-rescue
	install -D -m 755 $(BIN)/gitboot-buildkit $(DESTDIR)$(PREFIX)/lib/gitboot/gitboot-buildkit
	install -d $(share)/bash-completion/completions $(share)/zsh/site-functions $(share)/fish/vendor_completions.d
	$(BIN)/gitboot-docs completion bash > $(share)/bash-completion/completions/gitboot
	$(BIN)/gitboot-docs completion zsh > $(share)/zsh/site-functions/_gitboot
	$(BIN)/gitboot-docs completion fish > $(share)/fish/vendor_completions.d/gitboot.fish
	install -d $(share)/man/man8 $(units)
	$(BIN)/gitboot-docs docs --man $(share)/man/man8
	for f in packaging/systemd/*; do \
		sed -e 's|@PREFIX@|$(PREFIX)|' -e '/@CONFINED@/{r packaging/confined.conf' -e 'd}' "$$f" > "$(units)/$${f##*/}" || exit 1; done
	ln -sf gitboot.service $(units)/gitboot-poll.service
	install -D -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/gitboot.conf
	install -D -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/gitboot.conf
	install -D -m 644 LICENSE $(share)/doc/gitboot/LICENSE
	for f in README.md docs/*.md; do \
		[ ! -f "$$f" ] || install -D -m 644 "$$f" "$(share)/doc/gitboot/$$f" || exit 1; done

# What packages are called: the tag, and what came after it; without one, when the
# last commit was made.
PACKAGE_VERSION ?= $(or $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-\([0-9]*\)-g/+\1./'),0.0.0+$(shell git log -1 --format=%cd.%h --date=format:%Y%m%d 2>/dev/null))
ARCH ?= $(shell $(GO) env GOARCH)
# Where packages go, and what is made ready for them.
DIST ?= dist
# 2.45 is the last that does not bring what makes Windows' packages.
NFPM ?= $(HOST) $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

packages: deb rpm arch ## Debian, RPM and Arch packages, into dist

deb: packager := deb
rpm: packager := rpm
arch: packager := archlinux
deb rpm arch: $(DIST)/root ## one of them
	ROOT=$< ARCH=$(ARCH) PACKAGE_VERSION="$(PACKAGE_VERSION)" $(NFPM) package -f packaging/nfpm.yaml -p $(packager) -t $(DIST)

$(DIST)/root: build
	rm -rf $@
	$(MAKE) -s -o build install BIN=$(BIN) DESTDIR=$@ PREFIX=/usr
	gzip -9n $@/usr/share/man/man8/*
	mkdir -p $(DIST)
	printf 'gitboot (%s) unstable; urgency=medium\n\n  * See https://github.com/gitboot/gitboot for what has changed.\n\n -- The gitboot authors <gitboot@users.noreply.github.com>  %s\n' \
		"$(PACKAGE_VERSION)" "$$(date -uRd @$(SOURCE_DATE_EPOCH))" | gzip -9n > $@/changelog.gz

clean: ## what build made; the cache of root file systems stays
	rm -rf bin dist

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
