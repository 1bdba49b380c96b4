# Everything that a person types. Each target installs what it needs first; see CONTRIBUTING.md.
.DEFAULT_GOAL := help
.PHONY: help packages build run test bench soak defects kafka kafka-stop format lint clean

help:  ## show this list
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

packages:  ## install the Debian packages that are missing
	@scripts/install-packages

build: packages  ## build build/tidings and build/tidings-bench
	@scripts/build release

run: packages  ## build, then serve a demo program from ./data
	@scripts/build release tidings
	build/tidings serve --demo --data ./data

test: packages  ## lint, build and run every test, sanitizer builds included
	@python3 scripts/test

bench: packages  ## run every benchmark, print JSON lines and a table
	@scripts/build release
	build/tidings-bench --all

soak: packages  ## simulate SOAK_SECONDS (600), kill SOAK_KILLS (200) times, SOAK_KAFKA_KILLS (50) on Kafka
	@scripts/build release
	build/tidings_simulation --seconds $${SOAK_SECONDS:-600} --first $${SOAK_FIRST:-1}
	@scripts/python-environment
	@scripts/install-packages scripts/kafka-packages.txt
	TIDINGS_KILL_ROUNDS=$${SOAK_KILLS:-200} .venv/bin/python -m pytest tests/system/test_kill.py -q -s --timeout 0 -p no:cacheprovider
	TIDINGS_KAFKA_KILL_ROUNDS=$${SOAK_KAFKA_KILLS:-50} TIDINGS_ZOMBIE_ROUNDS=$${SOAK_ZOMBIES:-10} \
	TIDINGS_KAFKA_EVENT_KILLS=$${SOAK_EVENT_KILLS:-20} TIDINGS_KAFKA_WALKTHROUGH=whole \
	.venv/bin/python -m pytest tests/system -k "kafka or walkthrough" -q -s --timeout 0 -p no:cacheprovider

defects: packages  ## plant every defect of tests/simulation/defects.py, let the simulator find it
	@scripts/defects

kafka:  ## start a real Apache Kafka on 127.0.0.1:9092 (NODES=3 for three brokers)
	@scripts/kafka start --nodes $${NODES:-1}

kafka-stop:  ## stop it; its records stay in .kafka/data
	@scripts/kafka stop

format: packages  ## rewrite every C++ file with clang-format
	@scripts/sources | xargs clang-format -i

lint: packages  ## formatting, include directions, sizes, clang-tidy
	@python3 scripts/test lint

clean:  ## remove what was built (the data directory stays)
	rm -rf build .venv
