# What workflows run, a line each, so that it can be run and tested without GitHub. Values come from the environment.
.PHONY: setup check-python check-pipeline check-terraform check-ansible check-workflows required report comment objects reproduce \
	plan apply drift deploy rollback

# Hooks of pre-commit, one after the other; all of them run, and one that fails fails the target.
hooks = code=0; for hook in $(1); do .venv/bin/pre-commit run --all-files $$hook || code=$$?; done; test $$code = 0
PYTEST := .venv/bin/pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

setup: .venv

check-python: .venv
	@$(call hooks,ruff-check ruff-format mypy params uv-lock private-keys)
	@$(PYTEST) --ignore tests/infra --ignore tests/lab --ignore tests/workflows

check-pipeline: .venv
	@if [ "$$VERIFY" = "without the data" ]; then \
		echo "a fork has no way to the data: its lock is compared with the files in git, and nothing is rebuilt"; \
		said=$$(.venv/bin/dvc repro --allow-missing --dry) && echo "$$said" && \
		case "$$said" in *"Running stage"*) echo "error: dvc.lock is stale" >&2; echo "  next: dvc repro" >&2; exit 3;; esac; \
	else \
		$(SLIPWAY) verify; \
	fi

check-terraform: .venv
	@$(call hooks,terraform-fmt checkov)
	@$(PYTEST) tests/infra/test_terraform*.py tests/infra/test_infra*.py

check-ansible: .venv
	@$(call hooks,ansible-lint)
	@$(PYTEST) tests/infra --ignore-glob 'tests/infra/test_terraform*' --ignore-glob 'tests/infra/test_infra*'
	@.venv/bin/pytest tests/lab

check-workflows: .venv
	@$(call hooks,yamllint shellcheck zizmor actionlint)
	@$(PYTEST) tests/workflows

required:
	@echo "$$CHECKS; $$OTHERS"
	@for result in $$CHECKS; do test $$result = success || exit 1; done; test -n "$$CHECKS"
	@for result in $$OTHERS; do test $$result = success || test $$result = skipped || exit 1; done

# Against BASE, and what ENVIRONMENT should run; with the requests and plans that there are: several plans come in a folder each, one alone
# without.
report: .venv
	@$(SLIPWAY) report --base "$$BASE" --environment "$$ENVIRONMENT" --out report \
		$(foreach file,$(wildcard data/requests*.jsonl.dvc),--requests $(file:.dvc=)) \
		$(foreach file,$(wildcard plans/infrastructure.json plans/plan-*/infrastructure.json),--infrastructure $(file))

comment: .venv
	@$(SLIPWAY) github comment report

# The DVC remote has, or is given, every byte that the lock names.
objects: .venv
	@.venv/bin/dvc pull --allow-missing
	@.venv/bin/dvc repro
	@.venv/bin/dvc push

# The newest release, in a clone of its tag, with the environment that its own lock names: this commit's may be another by now.
reproduce: clone = .slipway/reproduce
reproduce:
	@tag=$$(git for-each-ref --sort=-version:refname --sort=-creatordate --count=1 --format='%(refname:lstrip=2)' 'refs/tags/*@v*'); \
	test -n "$$tag" || { echo "there is no release yet"; exit 0; }; \
	echo "$$tag"; rm -rf $(clone) && git -c advice.detachedHead=false clone --quiet --branch "$$tag" . $(clone) && $(MAKE) -C $(clone) verify

# Exit code 2 says that something would change, which is no failure here.
plan: .venv
	@$(SLIPWAY) infra plan "$$ENVIRONMENT" --out plan || test $$? = 2

apply: .venv
	@$(SLIPWAY) infra apply "$$ENVIRONMENT"

drift: .venv
	@code=0; $(SLIPWAY) infra drift "$$ENVIRONMENT" --out drift || code=$$?; \
	title="Drift of $$ENVIRONMENT"; \
	case $$code in \
		0) $(SLIPWAY) github issue --title "$$title" --close;; \
		2) $(SLIPWAY) github issue --title "$$title" --body-file drift/drift.md;; \
		*) exit $$code;; \
	esac

# Where SSH_KEY holds a private key, an agent holds it for as long as the command runs, and no file does.
with_key = $(if $(value SSH_KEY),ssh-agent sh -c 'printenv SSH_KEY | ssh-add -q - && unset SSH_KEY && exec "$$@"' sh)

deploy: .venv
	@if [ -n "$$RELEASE" ]; then $(with_key) $(SLIPWAY) deploy -- "$$ENVIRONMENT" "$$RELEASE"; \
	else $(with_key) $(SLIPWAY) reconcile -- "$$ENVIRONMENT"; fi

rollback: .venv
	@$(with_key) $(SLIPWAY) rollback -- "$$ENVIRONMENT" $${RELEASE:+"$$RELEASE"}
