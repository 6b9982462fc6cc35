%% erl -noshell -run otp_compare main FILE: play what `plex-sim-actors --dump` wrote on OTP's
%% own supervisors, and compare what is seen with what the model expects. So
%% the model, which the runtime is compared with, is compared with OTP.
-module(otp_compare).
-behaviour(supervisor).
-export([main/1, init/1, start/1]).

main([File]) ->
    ok = logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, Terms} = file:consult(File),
    register(driver, self()),
    {Steps, Bad} = play(Terms, none, {0, 0}),
    io:format("~b steps on OTP ~s's supervisor: ~b differ~n",
              [Steps, erlang:system_info(otp_release), Bad]),
    halt(case Bad of 0 when Steps > 0 -> 0; _ -> 1 end).

play([], _, Result) -> Result;
play([{seed, Seed}, {tree, Nodes} | Rest], _, Result) ->
    ets:new(nodes, [named_table, public]),
    ets:new(alive, [named_table, public]),
    ets:new(failing, [named_table, public]),
    [ets:insert(nodes, N) || N <- Nodes],
    Pid = spawn(fun() -> tracer([], #{}, #{}, #{}) end),
    register(tracer, Pid),
    play(Rest, Seed, Result);
play([{done, _} | Rest], _, Result) ->
    case pid_of(0) of
        none -> ok;
        Root -> unlink(Root), exit(Root, kill), settle()
    end,
    exit(whereis(tracer), kill),
    unregister_wait(),
    [ets:delete(T) || T <- [nodes, alive, failing]],
    play(Rest, none, Result);
play([{What, Kind, Node, Reason, Count, Expected} | Rest], Seed, {Steps, Bad}) ->
    Answer = case What of
                 starts -> begin_it(), [];
                 step -> act(Kind, Node, Reason, Count)
             end,
    settle(),
    Seen = lists:sort(fun by_life/2, Answer ++ take()),
    case Seen =:= Expected of
        true -> play(Rest, Seed, {Steps + 1, Bad});
        false ->
            io:format("seed ~p: after ~p ~p ~p ~p~n  expected ~p~n  OTP      ~p~n",
                      [Seed, Kind, Node, Reason, Count, Expected, Seen]),
            %% What comes after it is of no use: on to the next seed.
            {_, Later} = lists:splitwith(fun({done, _}) -> false; (_) -> true end,
                                         Rest),
            play(Later, Seed, {Steps + 1, Bad + 1})
    end.

%% Stable: only by supervisor and life.
by_life({S1, L1, _, _, _}, {S2, L2, _, _, _}) -> {S1, L1} =< {S2, L2}.

unregister_wait() ->
    case whereis(tracer) of undefined -> ok; _ -> timer:sleep(1), unregister_wait() end.

%% -- what happens --

spec_of(I) -> [N] = ets:lookup(nodes, I), N.
pid_of(I) ->
    case ets:lookup(alive, I) of
        [{_, Pid}] -> case is_process_alive(Pid) of true -> Pid; false -> none end;
        [] -> none
    end.

begin_it() ->
    case supervisor:start_link(?MODULE, 0) of
        {ok, Pid} -> ets:insert(alive, {0, Pid}), tracer ! {sup, Pid, 0};
        _ -> ok
    end.

act(0, Node, Reason, _) -> tell(Node, {leave, Reason}), [];
act(1, Node, _, _) -> with(Node, fun(Pid) -> exit(Pid, kill) end), [];
act(2, Node, _, _) -> % as if its parent had said so
    with(Node, fun(Pid) ->
                       {dictionary, D} = process_info(Pid, dictionary),
                       [Parent | _] = proplists:get_value('$ancestors', D),
                       P = case is_atom(Parent) of true -> whereis(Parent);
                               false -> Parent end,
                       Pid ! {'EXIT', P, shutdown}
               end), [];
act(3, Node, _, Count) -> ets:insert(failing, {Node, Count}), [];
act(Kind, Node, _, _) ->
    Parent = element(2, spec_of(Node)),
    Answer =
        case Parent >= 0 andalso pid_of(Parent) of
            Pid when is_pid(Pid) ->
                try status(request(Kind, Pid, Node))
                catch exit:_ -> 'NOBODY' end;
            _ -> 'NOBODY'
        end,
    [{-1, 0, '=', Node, Answer}].

request(4, Sup, Node) -> supervisor:terminate_child(Sup, Node);
request(5, Sup, Node) -> supervisor:restart_child(Sup, Node);
request(6, Sup, Node) -> supervisor:delete_child(Sup, Node);
request(7, Sup, Node) -> supervisor:start_child(Sup, spec(Node)).

status(ok) -> 'OK';
status({ok, _}) -> 'OK';
status({error, running}) -> 'CONFLICT';
status({error, restarting}) -> 'CONFLICT';
status({error, not_found}) -> 'NOT_FOUND';
status({error, already_present}) -> 'EXISTS';
status({error, {already_started, _}}) -> 'EXISTS';
status({error, _}) -> 'FAILED'.

tell(Node, What) -> with(Node, fun(Pid) -> Pid ! What end).
with(Node, Fun) ->
    case pid_of(Node) of none -> ok; Pid -> Fun(Pid) end.

%% -- supervisors and leaves --

init(I) ->
    {_, _, supervisor, _, _, _, _, _, _, Strategy, Intensity, Auto, Kids} = spec_of(I),
    {ok, {#{strategy => element(Strategy, {one_for_one, one_for_all, rest_for_one}),
            intensity => Intensity, period => 1000000,
            auto_shutdown => element(Auto + 1, {never, any_significant, all_significant})},
          [spec(K) || K <- Kids]}}.

spec(I) ->
    {_, _, Type, _, Restart, Significant, Shutdown, _, _, _, _, _, _} = spec_of(I),
    #{id => I, start => {?MODULE, start, [I]},
      restart => element(Restart + 1, {permanent, transient, temporary}),
      significant => Significant,
      type => case Type of leaf -> worker; supervisor -> supervisor end,
      shutdown => case Shutdown of 0 -> brutal_kill; 4294967295 -> infinity; Ms -> Ms end}.

%% Runs in the supervisor.
start(I) ->
    Started = case element(3, spec_of(I)) of
                  supervisor -> supervisor:start_link(?MODULE, I);
                  leaf -> leaf_start(I)
              end,
    case Started of
        {ok, Pid} ->
            ets:insert(alive, {I, Pid}),
            tracer ! {started, self(), I, Pid},
            receive {monitored, Pid} -> ok end,
            Started;
        _ -> {error, no}
    end.

leaf_start(I) ->
    case ets:lookup(failing, I) of
        [{_, N}] when N > 0 -> ets:insert(failing, {I, N - 1}), {error, told_to};
        _ ->
            {_, _, leaf, _, _, _, _, Kind, Slow, _, _, _, _} = spec_of(I),
            Sup = self(),
            Pid = spawn_link(fun() ->
                                     process_flag(trap_exit, Kind > 0),
                                     leaf(Sup, Kind, Slow)
                             end),
            {ok, Pid}
    end.
leaf(Sup, Kind, Slow) ->
    receive
        {leave, Reason} -> exit(Reason);
        {'EXIT', Sup, Reason} ->
            case Kind of 2 -> timer:sleep(Slow); _ -> ok end,
            exit(Reason);
        {'EXIT', _, _} -> leaf(Sup, Kind, Slow)
    end.

%% -- what is seen: starts from the supervisors, ends by monitors --

%% Lines (latest first), monitors to {supervisor, node}, supervisors to
%% {node, life}, lives of a node.
tracer(Lines, Monitors, Sups, Lives) ->
    receive
        {sup, Pid, I} ->
            erlang:monitor(process, Pid),
            tracer(Lines, Monitors, Sups#{{number, Pid} => I}, Lives);
        {started, Sup, I, Pid} ->
            {S, Life, Sups1, Lives1} = life(Sup, I, Sups, Lives),
            Ref = erlang:monitor(process, Pid),
            Sup ! {monitored, Pid},
            tracer([{S, Life, '+', I, ''} | Lines],
                   Monitors#{Ref => {Sup, I}}, Sups1, Lives1);
        {'DOWN', Ref, process, Pid, Reason} ->
            case Monitors of
                #{Ref := {Sup, I}} ->
                    case maps:get({dead, Sup}, Sups, alive) of
                        killed -> % nobody saw it
                            tracer(Lines, maps:remove(Ref, Monitors),
                                   Sups#{{dead, Pid} => Reason}, Lives);
                        _ ->
                            {S, Life, Sups1, Lives1} = life(Sup, I, Sups, Lives),
                            tracer([{S, Life, '-', I, Reason} | Lines],
                                   maps:remove(Ref, Monitors),
                                   Sups1#{{dead, Pid} => Reason}, Lives1)
                    end;
                _ -> tracer(Lines, Monitors, Sups#{{dead, Pid} => Reason}, Lives)
            end;
        {take, From} -> From ! {lines, lists:reverse(Lines)},
                        tracer([], Monitors, Sups, Lives);
        {count, From} -> From ! {count, length(Lines)},
                         tracer(Lines, Monitors, Sups, Lives)
    end.

life(Sup, I, Sups, Lives) ->
    S = element(2, spec_of(I)),
    case Sups of
        #{Sup := Life} -> {S, Life, Sups, Lives};
        _ ->
            Life = maps:get(S, Lives, 0) + 1,
            {S, Life, Sups#{Sup => Life}, Lives#{S => Life}}
    end.

take() -> tracer ! {take, self()}, receive {lines, Lines} -> Lines end.
count() -> tracer ! {count, self()}, receive {count, N} -> N end.

%% Every supervisor has answered, and nothing new was seen for as long as the
%% slowest leaf needs to end under a supervisor that nobody knows any more.
settle() -> settle(count(), 0).
settle(_, 4) -> ok;
settle(Before, Quiet) ->
    flush(),
    [catch sys:get_state(Pid) || {I, Pid} <- ets:tab2list(alive),
                                 element(3, spec_of(I)) =:= supervisor,
                                 is_process_alive(Pid)],
    timer:sleep(8),
    case count() of
        Before -> settle(Before, Quiet + 1);
        Now -> settle(Now, 0)
    end.
flush() -> receive {'EXIT', _, _} -> flush() after 0 -> ok end.
