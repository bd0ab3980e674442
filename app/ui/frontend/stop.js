// Bell, stop button and red bar of every page. They stand beside the page, not in it: no page can lose or cover them.
const esc=x=>String(x??'').replace(/[&<>"']/g,c=>'&#'+c.charCodeAt(0)+';');
const cap=x=>x[0].toUpperCase()+x.slice(1);
const many=(n,w)=>n.toLocaleString('en')+' '+w+(n===1?'':'s');
const BELL='<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a6 6 0 0 0-6 6v3.6L4.3 16a1 1 0 0 0 .9 1.5h13.6a1 1 0 0 0 .9-1.5L18 12.6V9a6 6 0 0 0-6-6Zm-2.4 16a2.5 2.5 0 0 0 4.8 0Z" fill="currentColor"/></svg>';
const ago=t=>`<time data-t="${t}" title="${esc(new Date(t).toLocaleString())}">${(s=>s<5?'just now':s<60?Math.floor(s)+' s ago':s<3600?Math.floor(s/60)+' min ago':s<172800?Math.floor(s/3600)+' h ago':Math.floor(s/86400)+' d ago')((Date.now()-t)/1e3)}</time>`;
export default function({parentElement:root,data,setTriggerValue}){
 let S=root._S;
 if(!S){S=root._S={};
  for(const old of document.querySelectorAll('#ops-frame'))old.remove();
  const box=S.box=document.createElement('div');box.id='ops-frame';box.innerHTML='<div class="tools"></div><div class="k-bar" role="alert" hidden></div><dialog aria-labelledby="ops-dlg"></dialog>';
  document.body.append(box);S.dlg=box.querySelector('dialog');
  const close=()=>S.dlg.close();
  const open=html=>{S.dlg.innerHTML=html;if(!S.dlg.open)S.dlg.showModal();S.dlg.querySelector('textarea,[data-focus]')?.focus()};
  const form=()=>{const R=S.data.reaches,one=R.length===1;S.kind='form';
   const opts=[['everything','Everything','No message, no record, no post leaves. Reading and drafting go on.'],['organisation','One organisation','<select aria-label="Organisation" name="org">'+S.data.orgs.map(o=>`<option value="${esc(o[0])}">${esc(o[1])}</option>`).join('')+'</select>'],['agent','One agent','<select aria-label="Agent" name="agent">'+S.data.agents.map(a=>`<option>${esc(a)}</option>`).join('')+'</select>']].filter(o=>R.includes(o[0]));
   open(`<form method="dialog"><h2 id="ops-dlg">Stop what leaves</h2><p>It takes effect within a second. What is approved meanwhile is held, not lost${R.includes('everything')?'; to go on with everything takes two admins':''}.</p>
    <fieldset><legend>What to stop</legend>${opts.map((o,i)=>`<label class="k-way"><input type="radio" name="reach" value="${o[0]}" ${i===0?'checked':''} ${one?'hidden':''}><span><b>${o[1]}</b><small>${o[2]}</small></span></label>`).join('')}</fieldset>
    <label class="k-why">Why?<textarea name="reason" rows="2" maxlength="500" required placeholder="Everybody sees this while it is stopped.">${esc(S.why)}</textarea></label>
    <div class="k-act"><button type="button" data-do="close">Cancel</button><button type="submit" class="red">Stop everything</button></div></form>`);
   const f=S.dlg.querySelector('form'),go=f.querySelector('.red');
   const name=()=>{const r=f.elements.reach.value;go.textContent=r==='everything'?'Stop everything':r==='organisation'?'Stop '+f.elements.org.selectedOptions[0]?.text:'Stop '+f.elements.agent.value;};
   f.onchange=e=>{if(e.target.tagName==='SELECT')f.querySelector(`[value=${e.target.name==='org'?'organisation':'agent'}]`).checked=true;name()};name();
   f.onsubmit=e=>{e.preventDefault();const why=f.elements.reason.value.trim();if(!why){f.elements.reason.setCustomValidity('Say why.');f.elements.reason.reportValidity();f.elements.reason.oninput=()=>f.elements.reason.setCustomValidity('');return}
    // a stop can be refused after the dialog is gone: the words are kept until it shows as on
    S.why=why;S.sent=f.elements.reach.value==='organisation'?'everything for '+f.elements.org.selectedOptions[0]?.text:f.elements.reach.value==='agent'?f.elements.agent.value:'everything';
    go.disabled=true;S.set('pull',{reach:f.elements.reach.value,org:f.elements.org?.value,agent:f.elements.agent?.value,reason:why,n:Date.now()});close()}};
  const list=()=>{S.kind='list';const d=S.data;
   const row=x=>`<li><div><b>${esc(cap(x.what))}</b><small>${esc(x.by)}, ${ago(x.at)}</small><p>${esc(x.why)}</p>${x.asked?`<p class="k-ask">${x.mine?'You asked to resume. A different admin has to agree.':esc(x.asked)+' asks to resume. A second admin has to agree.'}</p>`:''}</div>${x.may?`<button type="button" data-do="resume" data-id="${x.id}" ${x.mine?'disabled':''}>${x.two&&!x.asked?'Ask to resume':x.two&&x.asked&&!x.mine?'Agree and resume':x.mine?'Waiting for a second':'Resume'}</button>`:''}</li>`;
   open(`<h2 id="ops-dlg">What is stopped</h2><p>${many(d.held,'action')} held. When it goes on they leave a few at a time: 20 every 10 seconds.</p><ul>${d.env?`<li><div><b>Everything</b><small>by the server's environment</small><p>${esc(d.env)}</p><p class="k-ask">It ends when OPS_KILL_SWITCH is taken out of the server's environment or its .env file.</p></div></li>`:''}${d.on.map(row).join('')}</ul><div class="k-act">${d.reaches.length&&!d.everything?'<button type="button" data-do="form">Stop more…</button>':''}<button type="button" data-do="close" data-focus>Close</button></div>`)};
  S.list=list;
  box.onclick=e=>{const b=e.target.closest('[data-do]');if(!b){if(e.target===S.dlg)close();return}
   const what=b.dataset.do;if(what==='form')form();else if(what==='list')list();else if(what==='close')close();else if(what==='resume'){b.disabled=true;S.set('resume',{id:+b.dataset.id,n:Date.now()})}};
  S.dlg.addEventListener('keydown',e=>e.stopPropagation());
  S.draw=()=>{const d=S.data,first=d.on[0],n=d.on.length+(d.env?1:0),tools=box.querySelector('.tools'),bar=box.querySelector('.k-bar');
   if(S.why&&d.on.some(x=>x.what===S.sent))S.why='';
   const t=`<a class="bell" href="/notifications" title="${d.unread?many(d.unread,'unread notification'):'Nothing unread'}" aria-label="Notifications${d.unread?', '+d.unread+' unread':''}">${BELL}${d.unread?`<b>${d.unread>99?'99+':d.unread}</b>`:''}</a>${d.reaches.length?`<button type="button" class="halt" data-do="form" title="Stop everything that leaves, one organisation or one agent"><i></i><span>${d.reaches.includes('everything')?'Stop everything':'Stop an agent'}</span></button>`:''}`;
   if(S.t!==t)tools.innerHTML=S.t=t;
   bar.hidden=!n;document.documentElement.toggleAttribute('data-stopped',!!n);
   if(n){const what=d.everything?'Everything is stopped':cap(first.what)+' is stopped',ask=d.on.find(x=>x.asked&&x.may&&!x.mine),wait=d.on.find(x=>x.mine),may=d.on.some(x=>x.may);
    const who=d.env&&!(first&&first.two)?'by the server’s environment':`by ${esc(first.by)}, ${ago(first.at)}`,why=d.env&&!(first&&first.two)?d.env:first.why;
    const h=`<div class="k-say"><b>${esc(what)}</b><span>${who}${n>1?` and ${n-1} more`:''}</span><em title="${esc(why)}">${esc(why)}</em></div><div class="k-do"><span>${many(d.held,'action')} held</span><button type="button" data-do="list">${ask?esc(ask.asked)+' asks to resume…':wait?'Waiting for a second admin':may?'Resume…':'Details'}</button></div>`;
    if(S.b!==h)bar.innerHTML=S.b=h}else{bar.innerHTML=S.b='';}
   if(S.dlg.open&&S.kind==='list'){if(n)list();else close()}}}
 S.data=data;S.set=setTriggerValue;S.draw();
 return ()=>{S.box.remove();document.documentElement.removeAttribute('data-stopped');root._S=null}
}
