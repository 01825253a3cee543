"""docs/security.md claims that each line is held by a test: which, and that they are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/security.md"
ROWS = re.findall(r"^\| (?!threat \|)([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)

# The first words of a threat, and the tests below tests/ that cause it for real; together they show every clause of its row.
HELD_BY = {
    "other bytes than announced": (
        "unit/pinion_ipfs_store/test_store.py::test_hash_blob_refuses_another_file",
        "unit/pinion_ipfs_content/test_verify_walk.py::test_every_flipped_byte_is_noticed",
        "unit/pinion_ipfs_backends/test_gateway_urls.py::test_a_wrong_block_of_one_url_is_told_and_replaced",
        "integration/pinion_ipfs/test_fetch_origin.py::test_a_wrong_body_from_the_origin_never_reaches_the_store",
        "integration/pinion_ipfs/test_fetch_by_cid.py::test_a_faulty_source_is_dropped_and_the_next_one_goes_on",
        "integration/pinion_ipfs/test_kubo_faults.py::test_wrong_bytes_of_a_daemon_are_named",
        "integration/pinion_ipfs_peers/test_peers_that_fail.py::test_a_wrong_leaf_is_taken_from_the_next_peer_and_the_rest_as_well",
        "integration/pinion_ipfs_peers/test_flipped_bits.py::test_none_is_missed",
        "integration/pinion_runtime_content/test_serve_findings.py::test_a_wrong_block_of_a_peer_and_a_wrong_answer_of_the_hub",
    ),
    "bytes change on disk": (
        "integration/pinion_ipfs/test_fetch_origin.py::test_a_flipped_bit_in_the_store_is_found_and_repaired",
        "integration/pinion_runtime_content/test_serve_findings.py"
        "::test_what_changed_on_disk_between_two_starts_is_found_and_fetched_again",
        "integration/pinion_runtime_content/test_serve_fallback.py::test_none_waits_for_the_pin",
        "integration/pinion_runtime_server/test_serve_embeddings.py::test_status_tells_what_is_served",
    ),
    "a model that its CID names": (
        "integration/pinion_ipfs/test_fetch_trees.py::test_a_tree_is_fetched_verified_and_pinned_whoever_laid_it_out",
        "integration/pinion_ipfs/test_fetch_trees.py::test_a_backend_that_gives_wrong_bytes_is_left_and_the_next_one_goes_on",
        "integration/pinion_ipfs_peers/test_trees_of_peers.py::test_bytes_of_a_peer_count_once_they_have_the_cids_of_the_tree",
        "unit/pinion_ipfs_store/test_laid_out.py::test_records_are_hashed_when_they_are_read_and_a_damaged_one_is_none",
    ),
    "somebody serves under a name": (
        "integration/pinion_ipfs/test_fetch_origin.py::test_the_wrong_expected_cid_is_refused",
        "integration/pinion_runtime_server/test_serve_failures.py::test_other_bytes_than_expected",
        "integration/pinion_operator_model/test_model_serving.py::test_other_bytes_than_expected_are_never_served",
    ),
    "a commit moves under a branch": (
        "integration/pinion_operator_model/test_revisions.py::test_a_rewritten_branch_is_told_and_moves_nothing",
        "integration/pinion_operator_model/test_revisions.py::test_a_tracked_branch_rolls_new_bytes_and_nothing_else",
        "integration/pinion_operator_model/test_model_operator.py::test_a_new_image_rolls_and_asks_the_hub_nothing",
        "integration/pinion_ipfs/test_fetch_origin.py::test_another_listing_than_the_revisions_is_refused",
        "integration/pinion_ipfs/test_origin_faults.py::test_sizes_come_from_the_tree_and_not_from_a_head",
        "integration/pinion_runtime_server/test_serve_failures.py::test_a_listing_that_is_not_the_operators",
    ),
    "code in a model repository": (
        "integration/pinion_runtime_engine/test_load_errors.py::test_a_spoiled_folder_is_refused_with_the_reason",
        "integration/pinion_runtime_engine/test_load_errors.py::test_a_folder_that_asks_for_its_own_code_is_loaded_without_it",
        "unit/pinion_runtime_server/test_settings.py::test_nobody_can_let_the_code_of_a_repository_run",
    ),
    "a file name in a DAG or listing": (
        "integration/pinion_ipfs/test_hub_faults.py::test_names_that_must_not_reach_a_disk_are_refused_before_the_first_write",
        "unit/pinion_ipfs_content/test_verify_walk.py::test_unsafe_names_are_refused",
        "unit/pinion_ipfs_content/test_verify_walk.py::test_what_the_profile_has_not_is_refused_by_path",
        "unit/pinion_ipfs_content/test_content_cli.py::test_of_a_car_whose_names_climb_out_nothing_is_kept",
        "unit/pinion_ipfs_content/test_local_trees.py::test_a_link_planted_meanwhile_is_not_followed",
        "unit/pinion_ipfs_content/test_local_trees.py::test_names_are_checked_once_more_where_they_are_opened",
    ),
    "a DAG or CAR made to exhaust": (
        "unit/pinion_ipfs_content/test_verify_walk.py"
        "::test_sizes_past_the_announced_ones_are_refused_before_they_are_given_out",
        "unit/pinion_ipfs_content/test_verify_walk.py::test_too_many_entries_are_refused",
        "unit/pinion_ipfs_content/test_fuzz_content.py::test_depth_and_counts_are_bounded",
        "unit/pinion_ipfs_content/test_fuzz_content.py::test_a_block_that_comes_a_million_times_ends_at_the_first_one_too_many",
        "unit/pinion_ipfs_content/test_car_stream.py::test_hostile_sections_are_refused",
        "integration/pinion_ipfs/test_flat_memory.py::test_a_large_model_is_fetched_pinned_and_read_back_in_flat_memory",
        "integration/pinion_ipfs_content/test_addresses.py::test_export_and_verify_within_flat_memory",
    ),
    "requests made to exhaust memory": (
        "unit/pinion_runtime_server/test_app.py::test_an_announced_body_that_is_too_large",
        "unit/pinion_runtime_server/test_app.py::test_a_body_in_chunks_that_grows_too_large",
        "unit/pinion_runtime_server/test_codings.py::test_the_limit_is_that_of_the_decoded_size",
        "unit/pinion_runtime_server/test_malformed_requests.py::test_a_head_that_is_too_long",
        "unit/pinion_runtime_server/test_slow_clients.py::test_an_answer_that_nobody_takes",
        "unit/pinion_runtime_server/test_app.py::test_a_body_that_waits_for_a_go_ahead_is_refused_without_being_sent",
        "integration/pinion_runtime_server/test_serve_bad_input.py::test_a_body_that_is_too_large",
        "integration/pinion_runtime_server/test_serve_bad_input.py::test_a_wrong_field",
        "integration/pinion_runtime_server/test_serve_bad_input.py::test_a_request_of_too_many_tokens",
        "integration/pinion_runtime_server/test_serve_embeddings.py::test_a_text_that_is_too_long",
        "integration/pinion_runtime_server/test_serve_lifecycle.py::test_limits_change_without_a_restart",
    ),
    "anybody in the cluster asks the model": (
        "unit/pinion_operator_model/test_network_children.py::test_each_port_has_its_own_sources",
        "unit/pinion_operator_model/test_network_children.py"
        "::test_a_deployment_has_them_all_and_the_policy_can_be_switched_off",
        "e2e/test_network_policies.py::test_who_is_let_in",
        "e2e/test_network_policies.py::test_who_else_may_ask_is_said_in_the_object_and_changes_without_a_new_pod",
        "integration/pinion_runtime_server/test_serve_api_keys.py::test_anything_else_is_refused",
        "integration/pinion_runtime_server/test_serve_api_keys.py::test_every_route_but_health_asks_for_a_key",
        "unit/pinion_runtime_server/test_api_keys.py::test_a_key_is_compared_with_every_client_in_constant_time",
        "integration/pinion_runtime_server/test_serve_api_keys.py"
        "::test_keys_change_without_a_restart_and_without_any_nobody_is_let_in",
    ),
    "anybody reads a model's bytes by its CID": (
        "integration/pinion_ipfs_peers/test_content_server.py::test_only_with_the_token_only_reading_only_what_is_served",
        "integration/pinion_ipfs_peers/test_content_server.py::test_files_by_ranges_blocks_and_cars",
        "integration/pinion_ipfs_peers/test_peers_that_fail.py::test_without_the_right_token_there_are_no_peers",
        "integration/pinion_operator_model/test_model_operator.py::test_each_deployment_has_a_token_of_its_own",
        "unit/pinion_operator_model/test_pod_template.py::test_no_other_secret_is_mounted",
    ),
    "anybody pins, unpins or reads": (
        "integration/pinion_operator_backend/test_kubo_configure.py::test_strangers_are_refused",
        "integration/pinion_operator_backend/test_kubo_configure.py::test_tokens_may_do_what_they_are_for",
        "integration/pinion_operator_backend/test_kubo_configure.py::test_a_car_can_be_imported_with_the_clients_token",
        "integration/pinion_operator_backend/test_kubo_probe.py::test_the_clients_token_may_list_but_not_unpin",
    ),
    "the managed Kubo talks to the public network": (
        "integration/pinion_operator_backend/test_kubo_configure.py::test_the_daemon_is_private",
        "unit/pinion_operator_backend/test_kubo_children.py::test_private_and_without_collection",
        "unit/pinion_operator_backend/test_kubo_children.py::test_credentials_follow_from_the_key_and_the_uid_alone",
    ),
    "a gated model reaches somebody": (
        "integration/pinion_operator_model/test_model_access.py::test_known_bytes_are_given_to_those_alone_who_may_have_them",
        "integration/pinion_operator_model/test_model_access.py::test_another_hub_does_not_open_what_this_one_keeps",
        "integration/pinion_ipfs/test_hub_faults.py::test_access_is_checked_without_a_download",
        "unit/pinion_operator_model/test_tracking.py::test_a_cid_known_elsewhere_is_nothing_while_the_hub_refuses_us",
    ),
    "a token leaks": (
        "unit/pinion_ipfs_net/test_token_hosts.py::test_who_gets_it",
        "unit/pinion_ipfs_net/test_token_hosts.py::test_without_a_list_the_default_host_gets_it",
        "unit/pinion_runtime_server/test_tokens.py::test_the_hubs_token_goes_to_the_operators_hub_until_its_secret_names_hosts",
        "unit/pinion_runtime_server/test_tokens.py::test_a_backends_token_goes_to_nobody_until_its_secret_names_hosts",
        "integration/pinion_operator_model/test_model_access.py"
        "::test_a_token_goes_to_the_operators_hub_and_to_no_other_until_its_secret_names_it",
        "integration/pinion_operator_backend/test_external_backends.py"
        "::test_a_token_goes_to_no_host_that_its_secret_does_not_name",
        "integration/pinion_runtime_server/test_serve_tokens.py::test_the_hubs_token_waits_for_its_secret_to_name_the_endpoint",
        "integration/pinion_runtime_server/test_serve_tokens.py"
        "::test_a_backends_token_is_sent_once_its_secret_names_the_backend",
        "integration/pinion_ipfs/test_origin_faults.py::test_xet_does_not_carry_the_token_to_another_host",
        "unit/pinion_ipfs_origin/test_origin_client.py::test_what_the_library_asks_of_another_host_goes_without_the_token",
        "integration/pinion_ipfs/test_origin_faults.py"
        "::test_a_token_opens_the_endpoint_and_does_not_follow_a_download_to_another_host",
        "unit/pinion_ipfs_origin/test_origin_client.py::test_a_redirect_to_another_host_goes_without_the_token",
        "integration/pinion_ipfs/test_hub_faults.py"
        "::test_redirects_stay_on_the_host_with_their_query_and_the_token_never_leaves_it",
    ),
    "a URL in an object": (
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_the_operator_asks_nothing_that_is_not_public",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_networks_that_are_allowed",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_a_name_is_judged_by_every_address_it_has",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_a_backends_name_gives_only_the_addresses_that_may_be_connected_to",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_no_spelling_of_an_address_leads_there",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_redirects_are_not_followed_and_kubo_has_the_same_policy",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_kubos_redirects_are_not_followed_either",
        "integration/pinion_ipfs/test_hub_faults.py"
        "::test_redirects_stay_on_the_host_with_their_query_and_the_token_never_leaves_it",
        "integration/pinion_operator_model/test_model_networks.py"
        "::test_an_endpoint_is_asked_where_it_may_be_and_the_operators_own_always",
        "integration/pinion_operator_model/test_model_networks.py::test_all_that_does_not_answer_is_told_in_the_same_words",
        "integration/pinion_operator_model/test_model_networks.py::test_a_hub_does_not_lead_the_operator_inside_by_a_redirect",
        "integration/pinion_operator_backend/test_external_backends.py"
        "::test_urls_of_tenants_lead_the_operator_to_allowed_networks_and_no_further",
        "integration/chart/test_rendering.py::test_networks_for_the_operator",
        "unit/pinion_operator_core/test_operator_settings.py::test_networks",
    ),
    "the same URL is aimed": (
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_addresses_that_a_stranger_must_not_choose",
        "unit/pinion_ipfs_net/test_addresses_policy.py::test_no_spelling_of_this_machine_is_connected_to",
        "unit/pinion_ipfs_origin/test_origin_client.py::test_where_a_redirect_of_a_strangers_hub_leads_is_judged_again",
        "integration/pinion_ipfs/test_hub_faults.py::test_a_strangers_endpoint_does_not_reach_this_machine",
        "integration/pinion_ipfs/test_origin_faults.py::test_a_strangers_endpoint_on_this_machine_is_not_asked",
        "integration/chart/test_rendering.py::test_local_addresses_are_refused_to_pods_until_they_are_allowed",
        "unit/pinion_operator_core/test_operator_settings.py::test_a_switch",
    ),
    "the operator is taken over": (
        "integration/chart/test_rendering.py::test_no_rule_has_a_wildcard_and_no_secret_is_read_but_its_own_key",
        "integration/chart/test_rendering.py::test_your_objects_are_its_to_read_and_it_gives_nobody_rights",
        "integration/devcluster/test_control_plane.py::test_rbac_is_enforced",
        "integration/pinion_operator_model/test_model_access.py::test_a_secret_that_cannot_be_read_is_named",
        "integration/pinion_operator_backend/test_ipfsbackend_operator.py"
        "::test_no_secret_is_read_and_what_somebody_took_away_comes_back",
        "integration/pinion_operator_backend/test_ipfsbackend_operator.py"
        "::test_of_the_object_itself_only_finalizer_and_status_are_written",
    ),
    "a runtime pod is taken over": (
        "unit/pinion_operator_model/test_pod_template.py::test_what_the_restricted_standard_asks_for",
        "unit/pinion_operator_model/test_pod_template.py::test_it_has_no_token_and_no_names_of_services",
        "unit/pinion_operator_model/test_pod_template.py::test_no_other_secret_is_mounted",
        "integration/pinion_operator_model/test_model_operator.py::test_its_pods_pass_the_restricted_standard",
        "integration/chart/test_rendering.py::test_your_objects_are_its_to_read_and_it_gives_nobody_rights",
    ),
    "somebody who may make ModelDeployments": (
        "unit/pinion_operator_core/test_images.py::test_below",
        "unit/pinion_operator_core/test_operator_settings.py::test_custom_images_are_off_until_somebody_says_so",
        "unit/pinion_operator_model/test_custom_code.py::test_a_custom_image_is_refused_and_nothing_is_asked_or_made",
        "unit/pinion_operator_model/test_custom_code.py::test_it_needs_the_switch",
        "unit/pinion_operator_model/test_pod_overrides.py::test_what_makes_a_pod_ours_stays",
        "integration/pinion_operator_api/test_environment_names.py::test_variables_that_are_not_a_users",
        "integration/pinion_operator_api/test_environment_names.py::test_no_prefix_can_make_one_of_them",
        "integration/pinion_ipfs/test_variables.py::test_names_behind_a_prefix_change_nothing",
        "integration/chart/test_rendering.py::test_custom_images_are_refused_until_they_are_allowed",
        "integration/pinion_operator_model/test_custom_images.py"
        "::test_with_keys_of_another_nothing_is_mounted_into_an_image_of_hers",
        "integration/pinion_operator_model/test_custom_images.py::test_an_upgrade_leaves_what_runs_and_refuses_its_next_change",
    ),
    "two operators act at once": (
        "integration/pinion_operator_core/test_two_operators.py"
        "::test_an_outage_longer_than_the_lease_ends_the_leader_and_the_other_takes_over_once",
        "integration/pinion_operator_core/test_two_operators.py"
        "::test_renewals_that_are_late_end_the_leader_before_another_writes",
        "integration/pinion_operator_core/test_cluster_api.py::test_every_write_asks_the_guard_before_a_byte_of_it_leaves",
        "integration/pinion_operator_core/test_leadership.py::test_a_leader_that_was_frozen_writes_nothing_more_and_ends",
    ),
    "an operator takes over somebody else's object": (
        "integration/pinion_operator_model/test_model_operator.py::test_a_strangers_service_is_left_alone",
        "integration/pinion_operator_backend/test_ipfsbackend_operator.py"
        "::test_a_taken_name_stalls_and_the_strangers_object_stays",
        "integration/pinion_operator_core/test_mechanism.py::test_a_name_that_is_taken_under_our_label_or_by_a_secret",
    ),
    "a deletion takes away what others use": (
        "integration/pinion_operator_backend/test_ipfsbackend_operator.py::test_deletion_waits_for_its_users_and_names_them",
        "integration/pinion_operator_backend/test_ipfsbackend_operator.py::test_pins_become_what_is_wanted",
    ),
}


@cache
def functions_of(path: str) -> set[str]:
    """Return the names of a test file's functions."""
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_of_the_table_is_held_and_no_other_is() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 1, "a row that cannot be read would be held by nothing"
    held = {row: [words for words in HELD_BY if row.startswith(words)] for row in ROWS}
    assert [row for row, words in held.items() if len(words) != 1] == [], "rows without tests, or with those of two threats"
    assert set(HELD_BY) == {words for found in held.values() for words in found}, "tests of threats that the page does not name"


@pytest.mark.parametrize("words", HELD_BY)
def test_what_holds_it_is_there(words: str) -> None:
    named = [test.split("::") for test in HELD_BY[words]]
    assert named
    for path, name in named:
        assert name.startswith("test_")
        assert name in functions_of(path), f"{path} has no {name}"


def test_a_file_that_the_page_names_is_there() -> None:
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", PAGE.read_text()):
        assert (ROOT / path).exists(), path
